package fijibridge;

import ij.ImagePlus;
import ij.Undo;
import ij.WindowManager;
import ij.gui.ImageWindow;
import ij.gui.Roi;
import ij.io.FileInfo;
import java.awt.Point;
import java.awt.Rectangle;
import java.lang.ref.SoftReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;

/** Puts new pixels into open images ("pushes"), detects unsaved work that a push would replace, and prepares undo. */
public final class Pushes {
    /** Property of an image: a SoftReference to a hidden copy of the image before the last push. */
    public static final String BEFORE = "fijibridge.before";

    /** Property of an image whose pixels were pushed by Python or a verb: a Future of the checksum of each plane. */
    public static final String PUSHED = "fijibridge.pushed";

    /** Size in bytes up to which the checksums of an image are computed before the push returns. */
    private static final int AT_ONCE = 1 << 22;

    private static final List<Future<?>> NOTING = new ArrayList<>();

    private Pushes() {}

    // --- unsaved work -------------------------------------------------------------------------------

    /**
     * Tells whether the user changed an open image and did not save it. ImageJ's own flag for changes is not set by the
     * paintbrush, but is set when Python writes pixels. Pushed pixels are therefore compared with their checksums; the
     * flag decides only for other images.
     */
    public static boolean unsaved(ImagePlus imp) {
        int[] known = pushed(imp);
        if (known == null || imp.getStack().isVirtual()) return imp.changes;
        if (Arrays.equals(known, Checksums.of(Images.arrays(imp)))) return false;
        FileInfo file = imp.getOriginalFileInfo();
        return imp.changes || file == null || file.fileName == null || file.fileName.isEmpty();
    }

    private static int[] pushed(ImagePlus imp) {
        Object found = imp.getProperty(PUSHED);
        try {
            return found == null ? null : (int[]) ((Future<?>) found).get();
        } catch (InterruptedException | ExecutionException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Records the pixels of an image as pushed; checksums of a large image are computed in a background thread. */
    public static void notePushed(ImagePlus imp) {
        if (imp.getStack().isVirtual()) {
            imp.setProperty(PUSHED, null);
            return;
        }
        Object[] planes = Images.arrays(imp);
        FutureTask<int[]> sums = new FutureTask<>(() -> Checksums.of(planes));
        imp.setProperty(PUSHED, sums);
        if (imp.getSizeInBytes() <= AT_ONCE) {
            sums.run();
            return;
        }
        synchronized (NOTING) {
            NOTING.removeIf(Future::isDone);
            NOTING.add(sums);
        }
        Thread thread = new Thread(sums, "fijibridge-pixels");
        thread.setDaemon(true);
        thread.start();
    }

    /** Returns the number of images whose checksums are still being computed. */
    public static int pending() {
        synchronized (NOTING) {
            return NOTING.size();
        }
    }

    /** Waits until all checksums are computed, so that changes by a macro run afterwards do not count as pushed. */
    public static void awaitNoted() throws InterruptedException, ExecutionException {
        List<Future<?>> waiting;
        synchronized (NOTING) {
            waiting = new ArrayList<>(NOTING);
            NOTING.clear();
        }
        for (Future<?> sums : waiting) sums.get();
    }

    /**
     * Records planes that Python wrote as pushed, except planes that the user had changed before.
     *
     * @param numbers 1-based numbers of the planes
     * @param wasChanged ImageJ's flag for changes before the write
     */
    public static void noteWritten(ImagePlus imp, int[] numbers, Object[] before, Object[] now, boolean wasChanged) {
        int[] known = pushed(imp);
        if (known == null) {
            if (!wasChanged) notePushed(imp);
            return;
        }
        known = known.clone();  // because the hidden copy from before the write keeps the old array
        for (int i = 0; i < numbers.length; i++) {
            int plane = numbers[i] - 1;
            if (plane < known.length && known[plane] == Checksums.of(before[i])) known[plane] = Checksums.of(now[i]);
        }
        imp.setProperty(PUSHED, CompletableFuture.completedFuture(known));
    }

    // --- undo ---------------------------------------------------------------------------------------

    /** Keeps the image from before a push until Java needs the memory. */
    public static void keep(ImagePlus imp, ImagePlus before) {
        imp.setProperty(BEFORE, new SoftReference<>(before));
    }

    /** Enables Edit > Undo to restore the pixels of a single-plane image. */
    public static void prepareUndo(ImagePlus imp) {
        // TYPE_CONVERSION keeps a reference to the processor, without copying
        if (imp.getStackSize() == 1 && !imp.getStack().isVirtual()) Undo.setup(Undo.TYPE_CONVERSION, imp);
        else Undo.reset();
    }

    // --- the same window ----------------------------------------------------------------------------

    /**
     * Puts a new image into the window of an open image. If the window cannot show the new image (only one of the two
     * images is composite, or their sizes differ), a new window opens in its place.
     *
     * @param keepView true to keep position and zoom
     * @param context SciJava context in which the image's Dataset is updated; null in plain ImageJ
     * @return the image that is open afterwards
     */
    public static ImagePlus replace(ImagePlus imp, ImagePlus made, boolean keepView, Object context) {
        int[] before = imp.getDimensions(true), after = made.getDimensions(true);
        boolean sameSize = Arrays.equals(before, after);
        ImagePlus kept = Images.copy(imp, null);
        if (sameSize) {
            Roi[] drawn = Rois.drawn(imp);
            boolean painted = drawn.length < Rois.inOverlay(imp).length;
            made.setOverlay(!painted ? imp.getOverlay() : drawn.length == 0 ? null : Rois.overlayOf(drawn));
        }
        ImageWindow window = imp.getWindow();
        if (imp.isComposite() != made.isComposite() || (window != null && !sameSize)) {
            if (WindowManager.getImage(imp.getID()) == null) return imp;  // an image that the user closed stays closed
            reopen(imp, made, keepView && before[0] == after[0] && before[1] == after[1]);
            notePushed(made);
            keep(made, kept);
            return made;
        }
        prepareUndo(imp);
        Roi[] drawn = Rois.inOverlay(made);
        double low = made.getDisplayRangeMin(), high = made.getDisplayRangeMax();
        Roi selection = imp.getRoi();
        imp.setImage(made);
        if (!imp.isComposite() && imp.getType() != ImagePlus.COLOR_RGB) imp.setDisplayRange(low, high);
        if (selection != null) imp.setRoi(selection);
        if (window != null && !keepView) {
            window.getCanvas().unzoom();
            imp.setSlice(1);
        }
        keep(imp, kept);
        notePushed(imp);
        imp.changes = false;
        Datasets.redraw(imp, drawn, selection, context);
        return imp;
    }

    private static void reopen(ImagePlus imp, ImagePlus made, boolean keepView) {
        ImageWindow window = imp.getWindow();
        Point where = window == null ? null : window.getLocation();
        Rectangle part = window == null ? null : window.getCanvas().getSrcRect();
        double zoom = window == null ? 1 : window.getCanvas().getMagnification();
        int c = imp.getC(), z = imp.getZ(), t = imp.getT();
        imp.changes = false;
        imp.setIgnoreFlush(true);  // else closing the window would drop the pixels needed for undo
        imp.close();
        made.show();
        if (keepView)
            made.setPosition(
                Math.min(c, made.getNChannels()), Math.min(z, made.getNSlices()), Math.min(t, made.getNFrames()));
        if (where == null || made.getWindow() == null) return;
        made.getWindow().setLocation(where);
        if (keepView) {
            made.getCanvas().setMagnification(zoom);
            made.getCanvas().setSourceRect(part);
            made.repaintWindow();
        }
    }
}
