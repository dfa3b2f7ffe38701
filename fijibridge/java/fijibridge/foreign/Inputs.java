package fijibridge.foreign;

import fijibridge.Cancelled;
import fijibridge.Images;
import fijibridge.OpenImages;
import fijibridge.Rois;
import fijibridge.UserError;
import fijibridge.verbs.Dialog;
import fijibridge.verbs.Verb;
import fijibridge.verbs.Verb.Parameter;
import ij.ImagePlus;
import ij.gui.Roi;
import ij.io.RoiEncoder;
import ij.plugin.frame.RoiManager;
import java.awt.EventQueue;
import java.awt.GraphicsEnvironment;
import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The images, and the cells drawn on them, that are the inputs of a call of a verb. */
final class Inputs {
    /** The image of each parameter. */
    final Map<String, ImagePlus> open = new LinkedHashMap<>();
    /** The name of each image in a recorded macro. */
    final Map<String, String> names = new LinkedHashMap<>();
    private final Map<String, String> drawn = new LinkedHashMap<>();
    private final ImagePlus active;

    /**
     * Finds the images.
     *
     * @throws UserError if images cannot be found; the message names all of them
     */
    Inputs(Verb verb, Map<String, Object> given, Caller caller) {
        List<String> problems = new ArrayList<>();
        active = caller.image();
        for (Parameter parameter : verb.imagesFirst()) {
            if (!parameter.isInput()) continue;
            String name = parameter.name, text = given.get(name) == null ? "" : given.get(name).toString().trim();
            Object passed = parameter.valueIn(caller.inputs), value = passed instanceof ImagePlus ? passed : text;
            boolean cells = parameter.kind.equals("cells");
            if (cells && text.equalsIgnoreCase(Dialog.MANAGER)) drawn.put(name, Dialog.MANAGER);
            else if (cells && text.equalsIgnoreCase(Dialog.OVERLAY)) drawn.put(name, Dialog.OVERLAY);
            else if (!value.equals("") || (parameter.kind.equals("image") && !parameter.optional)) {
                try {
                    ImagePlus imp = value.equals("") ? active() : named(value);
                    open.put(name, imp);
                    names.put(name, OpenImages.names().getOrDefault(imp.getID(), String.valueOf(imp.getID())));
                } catch (UserError error) {
                    problems.add(name + ": " + error.getMessage());
                }
            }
        }
        if (open.isEmpty() && problems.isEmpty() && active == null)
            drawn.forEach((name, where) -> problems.add(
                name + ": the cells in the " + where + " belong to an image: pass this image to the verb, too"));
        if (!problems.isEmpty()) throw new UserError(String.join("; ", problems));
    }

    private ImagePlus active() {
        if (active == null) throw new UserError("no image is open in Fiji");
        return active;
    }

    /** Returns the description of each input, with pixels or ROIs in blocks of shared memory. */
    Map<String, Object> described(Blocks blocks) {
        Map<String, Object> all = new LinkedHashMap<>();
        ImagePlus first = open.isEmpty() ? active : open.values().iterator().next();
        open.forEach((name, imp) -> {
            Map<String, Object> description = finite(Images.describe(imp));
            description.put("blocks", blocks.put(imp));
            all.put(name, description);
        });
        drawn.forEach((name, where) -> {
            open.put(name, first);
            names.put(name, where);
            Map<String, Object> description = finite(Images.describe(first));
            description.put("rois", encoded(rois(first, where), blocks));
            all.put(name, description);
        });
        return all;
    }

    /** Replaces non-finite numbers, which Appose's JSON cannot represent, with 0. */
    private static Map<String, Object> finite(Map<String, Object> description) {
        description.replaceAll((name, value) -> finite(value));
        return description;
    }

    private static Object finite(Object value) {
        if (value instanceof Double && (((Double) value).isNaN() || ((Double) value).isInfinite())) return 0.0;
        if (!(value instanceof List)) return value;
        List<Object> found = new ArrayList<>();
        for (Object part : (List<?>) value) found.add(finite(part));
        return found;
    }

    // --- ROIs ---------------------------------------------------------------------------------------

    private static Roi[] rois(ImagePlus imp, String where) {
        if (where.equals(Dialog.OVERLAY)) return Rois.drawn(imp);
        RoiManager manager = GraphicsEnvironment.isHeadless() ? null : RoiManager.getInstance2();
        if (manager == null) throw new UserError("the ROI Manager is not open");
        return manager.getRoisAsArray();
    }

    private static Map<String, Object> encoded(Roi[] rois, Blocks blocks) {
        List<Roi> stored = new ArrayList<>();
        Object[][] found = new Object[1][];
        // ImageJ temporarily sets a colour on a ROI without one while it draws it on the event thread
        onEventThread(() -> {
            for (Roi roi : rois) if (RoiEncoder.saveAsByteArray(roi) != null) stored.add(roi);
            found[0] = Rois.encode(stored.toArray(new Roi[0]));
        });
        if (stored.isEmpty()) throw new UserError("there are no ROIs that could be cells: draw areas and add them");
        byte[] bytes = (byte[]) found[0][0];
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("bytes", blocks.put("uint8", bytes, bytes.length));
        description.put("sizes", blocks.put("int32", found[0][1], stored.size()));
        return description;
    }

    private static void onEventThread(Runnable work) {
        try {
            if (GraphicsEnvironment.isHeadless() || EventQueue.isDispatchThread()) work.run();
            else EventQueue.invokeAndWait(work);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Cancelled();
        } catch (InvocationTargetException error) {
            throw new IllegalStateException(error.getCause());
        }
    }

    // --- values -------------------------------------------------------------------------------------

    /** Returns the open image with a title, pattern or id. */
    private static ImagePlus named(Object value) {
        if (value instanceof ImagePlus) {
            ImagePlus imp = (ImagePlus) value;
            if (imp.getProcessor() == null) throw new UserError("'" + imp.getTitle() + "' is closed");
            return imp;
        }
        String text = value.toString();
        boolean isId = text.matches("-\\d{1,18}") && OpenImages.titled(text).isEmpty();
        return isId ? OpenImages.find(Long.parseLong(text)) : OpenImages.find(text);
    }

    /** Returns a value passed to SciJava in a form that JSON can represent, an image as its id; null if empty. */
    static Object plain(Object value) {
        if (value instanceof ImagePlus) return String.valueOf(((ImagePlus) value).getID());
        if (value instanceof File) return ((File) value).getPath().isEmpty() ? null : ((File) value).getAbsolutePath();
        if (value instanceof Number || value instanceof Boolean) return value;
        String text = value.toString();
        return text.trim().isEmpty() ? null : text;
    }
}
