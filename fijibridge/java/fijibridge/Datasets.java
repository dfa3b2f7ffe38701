package fijibridge;

import ij.ImagePlus;
import ij.gui.Roi;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;

/**
 * ImageJ2's Datasets, which are copies of open images. The classes of ImageJ2 are called by reflection: plain ImageJ,
 * which these sources are compiled for too, lacks them.
 */
public final class Datasets {
    private Datasets() {}

    /**
     * Draws an image whose pixels were changed, and brings its Dataset up to date. imagej-legacy adds the selection to
     * the overlay, or takes both away, when it draws or looks up an image that has a Dataset: they are put back.
     */
    public static void redraw(ImagePlus imp, Roi[] drawn, Roi selection, Object context) {
        imp.updateAndDraw();
        refresh(imp, context);
        if (!Arrays.equals(drawn, Rois.inOverlay(imp))) imp.setOverlay(drawn.length > 0 ? Rois.overlayOf(drawn) : null);
        if (selection != null && imp.getRoi() == null) imp.setRoi(selection);
    }

    /**
     * Gives the Dataset of an image its pixels, calibration and name, if ImageJ2 made one of it. It stays the same
     * object, as after ImageJ2's own commands.
     *
     * @param context SciJava's; null in plain ImageJ
     */
    public static void refresh(ImagePlus imp, Object context) {
        Object legacy = context == null ? null : legacyService(context);
        if (legacy == null) return;
        Object images = null;
        try {
            images = call(legacy, "getImageMap");
            if (!((Collection<?>) call(images, "getImagePlusInstances")).contains(imp)) return;
            Object display = call(images, "lookupDisplay", imp);
            if (display == null) return;
            ClassLoader loader = legacy.getClass().getClassLoader();
            Class<?> service = type("net.imagej.display.ImageDisplayService", loader);
            Object displays = call(call(legacy, "getContext"), "getService", service);
            // as imagej-legacy's own Harmonizer does it, which also takes the overlay away
            Object translator = type("net.imagej.legacy.translate.ImageTranslator", loader)
                .getConstructor(type("net.imagej.legacy.LegacyService", loader)).newInstance(legacy);
            Object made = call(translator, "createDisplay", imp);
            Object fresh = call(displays, "getActiveDataset", made);
            Object dataset = call(displays, "getActiveDataset", display);
            call(dataset, "setImgPlus", call(fresh, "getImgPlus"));
            call(dataset, "setRGBMerged", call(fresh, "isRGBMerged"));
            call(dataset, "setName", imp.getTitle());
            // else pyimagej's from_java recurses for ever: the image is among the properties of its Dataset
            ((Map<?, ?>) call(dataset, "getProperties")).remove("ij1-image-plus");
            call(made, "close");
        } catch (ReflectiveOperationException | ClassCastException otherVersion) {
            if (images != null) forget(images, imp);
        }
    }

    /** Lets ImageJ2 make a new Dataset when it is asked for one. */
    private static void forget(Object images, ImagePlus imp) {
        try {
            call(images, "unregisterLegacyImage", imp);
        } catch (ReflectiveOperationException otherVersion) {
            return;
        }
    }

    private static Object legacyService(Object context) {
        try {
            ClassLoader loader = context.getClass().getClassLoader();
            return call(context, "getService", type("net.imagej.legacy.LegacyService", loader));
        } catch (ReflectiveOperationException none) {
            return null;
        }
    }

    private static Class<?> type(String name, ClassLoader loader) throws ClassNotFoundException {
        return Class.forName(name, true, loader);
    }

    /** Calls the public method of a name that takes these arguments. */
    private static Object call(Object target, String name, Object... arguments) throws ReflectiveOperationException {
        for (Method method : target.getClass().getMethods()) {
            if (!method.getName().equals(name) || !takes(method.getParameterTypes(), arguments)) continue;
            method.setAccessible(true);  // a public method of a class that is not
            return method.invoke(target, arguments);
        }
        throw new NoSuchMethodException(target.getClass().getName() + "." + name);
    }

    private static boolean takes(Class<?>[] types, Object[] arguments) {
        if (types.length != arguments.length) return false;
        for (int i = 0; i < types.length; i++) {
            Class<?> type = types[i] == boolean.class ? Boolean.class : types[i];
            if (arguments[i] != null && !type.isInstance(arguments[i])) return false;
        }
        return true;
    }
}
