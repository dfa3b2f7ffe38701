package fijibridge;

import ij.ImagePlus;
import ij.gui.Roi;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;

/**
 * ImageJ2's Datasets, which are copies of open images. The classes of ImageJ2 are called by reflection, because these
 * sources are also compiled for plain ImageJ, which lacks them.
 */
public final class Datasets {
    private Datasets() {}

    /**
     * Draws an image whose pixels were changed, and updates its Dataset. When imagej-legacy draws or looks up an image
     * that has a Dataset, it adds the selection to the overlay, or removes both. This method restores the overlay and
     * the selection.
     */
    public static void redraw(ImagePlus imp, Roi[] drawn, Roi selection, Object context) {
        imp.updateAndDraw();
        refresh(imp, context);
        if (!Arrays.equals(drawn, Rois.inOverlay(imp))) imp.setOverlay(drawn.length > 0 ? Rois.overlayOf(drawn) : null);
        if (selection != null && imp.getRoi() == null) imp.setRoi(selection);
    }

    /**
     * Updates the pixels, calibration and name of an image's Dataset, if ImageJ2 has created one. The Dataset stays the
     * same object, as after ImageJ2's own commands.
     *
     * @param context SciJava context; null in plain ImageJ
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
            // imagej-legacy's own Harmonizer does the same, but also removes the overlay
            Object translator = type("net.imagej.legacy.translate.ImageTranslator", loader)
                .getConstructor(type("net.imagej.legacy.LegacyService", loader)).newInstance(legacy);
            Object made = call(translator, "createDisplay", imp);
            Object fresh = call(displays, "getActiveDataset", made);
            Object dataset = call(displays, "getActiveDataset", display);
            call(dataset, "setImgPlus", call(fresh, "getImgPlus"));
            call(dataset, "setRGBMerged", call(fresh, "isRGBMerged"));
            call(dataset, "setName", imp.getTitle());
            // else pyimagej's from_java recurses endlessly, because the image is among the properties of its Dataset
            ((Map<?, ?>) call(dataset, "getProperties")).remove("ij1-image-plus");
            call(made, "close");
        } catch (ReflectiveOperationException | ClassCastException otherVersion) {
            if (images != null) forget(images, imp);
        }
    }

    /** Removes the Dataset of an image, so that ImageJ2 creates a new one when it is needed. */
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

    /** Calls the public method with a name that accepts these arguments. */
    private static Object call(Object target, String name, Object... arguments) throws ReflectiveOperationException {
        for (Method method : target.getClass().getMethods()) {
            if (!method.getName().equals(name) || !takes(method.getParameterTypes(), arguments)) continue;
            method.setAccessible(true);  // needed for a public method of a class that is not public
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
