package fijibridge;

import ij.ImagePlus;
import ij.gui.ImageCanvas;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.io.RoiDecoder;
import ij.io.RoiEncoder;
import ij.plugin.frame.RoiManager;
import ij.process.ColorProcessor;
import java.awt.Color;
import java.awt.Rectangle;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** ROIs: conversion of many ROIs per call to and from ImageJ's file format, positions, and overlays. */
public final class Rois {
    /** Name of the overlay ROI that colours a label image whose ids outnumber the colours of a lookup table. */
    public static final String PAINT = "fijibridge colours";

    // offset in the header of ImageJ's ROI format
    private static final int STROKE_COLOR = 40;

    private static final List<String> AXES = Arrays.asList("channel", "slice", "frame");

    private Rois() {}

    /**
     * Decodes ROIs.
     *
     * @param data bytes of all ROIs
     * @param sizes number of bytes of each ROI
     * @param colors stroke colour of each ROI, 0xAARRGGBB; if empty, the ROIs keep their own
     * @param axis axis of a hyperstack, "slice" or "frame", that a single-number position refers to; "" to keep such a
     *     position
     */
    public static Roi[] decode(byte[] data, int[] sizes, int[] colors, String axis) {
        Roi[] rois = new Roi[sizes.length];
        int at = 0;
        for (int i = 0; i < sizes.length; i++) {
            byte[] one = Arrays.copyOfRange(data, at, at + sizes[i]);
            at += sizes[i];
            Roi roi = RoiDecoder.openFromByteArray(one);
            if (roi == null) throw new IllegalArgumentException("ROI " + i + " cannot be decoded");
            int stroke = ByteBuffer.wrap(one).getInt(STROKE_COLOR);
            // RoiDecoder replaces the stored colour with that of the ROI's group
            if (roi.getGroup() > 0 && stroke != 0) roi.setStrokeColor(new Color(stroke, true));
            if (colors.length > 0) roi.setStrokeColor(new Color(colors[i], true));
            if (!roi.hasHyperStackPosition() && roi.getPosition() > 0) {
                if (axis.equals("slice")) roi.setPosition(0, roi.getPosition(), 0);
                if (axis.equals("frame")) roi.setPosition(0, 0, roi.getPosition());
            }
            rois[i] = roi;
        }
        return rois;
    }

    /**
     * Encodes ROIs.
     *
     * @return the bytes of all ROIs as byte[], and the number of bytes of each ROI as int[]
     */
    public static Object[] encode(Roi[] rois) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        int[] sizes = new int[rois.length];
        for (int i = 0; i < rois.length; i++) {
            byte[] one = RoiEncoder.saveAsByteArray(rois[i]);
            if (one == null) throw new IllegalArgumentException("ROI " + i + " cannot be encoded: " + rois[i]);
            sizes[i] = one.length;
            all.write(one, 0, one.length);
        }
        return new Object[] {all.toByteArray(), sizes};
    }

    public static void add(Overlay overlay, Roi[] rois) {
        for (Roi roi : rois) overlay.add(roi);
    }

    /** Adds ROIs to the ROI Manager, each on its own slice, without letting the manager draw them. */
    public static void add(RoiManager manager, Roi[] rois) {
        for (Roi roi : rois) manager.add(roi, -1);
        manager.runCommand("Show None");
    }

    public static Overlay overlayOf(Roi... rois) {
        Overlay overlay = new Overlay();
        add(overlay, rois);
        return overlay;
    }

    /** Returns the ROIs of an image's overlay, including those that colour its pixels. */
    public static Roi[] inOverlay(ImagePlus imp) {
        return imp.getOverlay() == null ? new Roi[0] : imp.getOverlay().toArray();
    }

    /** Returns the ROIs of an image's overlay, except those that colour its pixels. */
    public static Roi[] drawn(ImagePlus imp) {
        List<Roi> found = new ArrayList<>();
        for (Roi roi : inOverlay(imp)) if (!PAINT.equals(roi.getName())) found.add(roi);
        return found.toArray(new Roi[0]);
    }

    // --- places -------------------------------------------------------------------------------------

    /** Returns the axis that a single-number position refers to, which is the axis of the label image's planes. */
    public static String axis(ImagePlus imp) {
        if (imp.getNSlices() > 1) return "slice";
        if (imp.getNFrames() > 1) return "frame";
        return imp.getNChannels() > 1 ? "channel" : "slice";
    }

    /** Returns channel, slice and frame of a ROI; 0 along axes where the ROI has no position. */
    private static int[] place(ImagePlus imp, Roi roi) {
        if (!roi.hasHyperStackPosition()) {
            int[] place = new int[3];
            place[AXES.indexOf(axis(imp))] = Math.max(0, roi.getPosition());
            return place;
        }
        int[] place = {roi.getCPosition(), roi.getZPosition(), roi.getTPosition()};
        // as ImageJ draws it: frames are often stored as slices, and slices as frames
        boolean swapped = place[1] <= 1 ? place[2] > 1 && imp.getNFrames() == 1 : place[2] <= 1 && imp.getNSlices() == 1;
        return swapped ? new int[] {place[0], place[2], place[1]} : place;
    }

    /** Returns the 1-based number of the label image's plane that a ROI is on; 0 if it is on all planes. */
    public static int plane(ImagePlus imp, Roi roi) {
        return place(imp, roi)[AXES.indexOf(axis(imp))];
    }

    /**
     * Returns the number of the stack slice that a ROI is on. Along axes where the ROI has no position, the current
     * position of the image is used.
     *
     * @param channel 1-based number of the channel; 0 for the channel of the ROI, or else the current channel
     */
    public static int stackIndex(ImagePlus imp, Roi roi, int channel) {
        int[] place = place(imp, roi), counts = {imp.getNChannels(), imp.getNSlices(), imp.getNFrames()};
        for (int i = 0; i < counts.length; i++)
            if (place[i] > counts[i])
                throw new UserError("a ROI is on " + AXES.get(i) + " " + place[i] + ", but the image has " + counts[i]);
        if (channel > counts[0])
            throw new UserError("there is no channel " + channel + "; the image has " + counts[0] + " channel(s)");
        int c = first(channel, place[0], imp.getC()), z = first(place[1], imp.getZ()), t = first(place[2], imp.getT());
        return imp.getStackIndex(c, z, t);
    }

    private static int first(int... numbers) {
        for (int number : numbers) if (number > 0) return number;
        return 0;
    }

    /** Makes a ROI the selection of an image, shows its slice and scrolls the ROI into view. */
    public static void select(ImagePlus imp, Roi roi) {
        if (imp.isHyperStack()) {
            int[] place = place(imp, roi);
            imp.setPosition(
                first(Math.min(place[0], imp.getNChannels()), imp.getC()),
                first(Math.min(place[1], imp.getNSlices()), imp.getZ()),
                first(Math.min(place[2], imp.getNFrames()), imp.getT()));
        } else if (roi.getPosition() > 0 && roi.getPosition() <= imp.getStackSize()) imp.setPosition(roi.getPosition());
        imp.setRoi((Roi) roi.clone());
        ImageCanvas canvas = imp.getCanvas();
        if (canvas == null) return;
        Rectangle seen = canvas.getSrcRect(), box = roi.getBounds();
        if (seen.contains(box)) return;
        seen.x = Math.max(0, Math.min(box.x + box.width / 2 - seen.width / 2, imp.getWidth() - seen.width));
        seen.y = Math.max(0, Math.min(box.y + box.height / 2 - seen.height / 2, imp.getHeight() - seen.height));
        canvas.setSourceRect(seen);
        imp.repaintWindow();
    }

    /**
     * Returns the ROI with a name; null if there is none.
     *
     * @param slice number of the slice that is preferred if several ROIs have this name; 0 for none
     * @param frame number of the frame, likewise
     */
    public static Roi named(ImagePlus imp, Roi[] rois, String name, int slice, int frame) {
        Roi found = null;
        for (Roi roi : rois) {
            if (!name.equals(roi.getName())) continue;
            if (isAt(imp, roi, slice, frame)) return roi;
            if (found == null) found = roi;
        }
        return found;
    }

    private static boolean isAt(ImagePlus imp, Roi roi, int slice, int frame) {
        int[] place = place(imp, roi);
        if (imp.getNSlices() > 1 && imp.getNFrames() > 1) return same(place[1], slice) && same(place[2], frame);
        // a table may call the planes of a film slices, or those of a stack frames
        return same(plane(imp, roi), axis(imp).equals("frame") ? first(frame, slice) : first(slice, frame));
    }

    private static boolean same(int place, int other) {
        return place == 0 || other == 0 || place == other;
    }

    // --- colours of label images --------------------------------------------------------------------

    /**
     * Returns an overlay that colours the planes of a label image whose ids outnumber the colours of a lookup table.
     *
     * @param planes pixels of each plane: byte[], short[], int[] or float[]
     * @param palette colours as 0xRRGGBB: black for the background, then the colours that are used cyclically
     */
    public static Overlay painted(Object[] planes, int width, int height, int[] palette) {
        Overlay overlay = new Overlay();
        for (int i = 0; i < planes.length; i++) {
            ImageRoi roi = new ImageRoi(0, 0, picture(planes[i], width, height, palette));
            roi.setName(PAINT);
            roi.setPosition(planes.length > 1 ? i + 1 : 0);
            overlay.add(roi);
        }
        return overlay;
    }

    /** Updates the overlay made by {@link #painted} after pixels of its image have changed; skips other images. */
    public static void repaint(ImagePlus imp, int[] palette, boolean onlyShown) {
        if (imp.getType() == ImagePlus.COLOR_RGB) return;
        Object[] planes = null;
        for (Roi roi : inOverlay(imp)) {
            if (!PAINT.equals(roi.getName())) continue;
            int number = Math.max(1, roi.getPosition());
            if (planes == null) planes = Images.arrays(imp);
            if (number <= planes.length && (!onlyShown || number == imp.getCurrentSlice()))
                ((ImageRoi) roi).setProcessor(picture(planes[number - 1], imp.getWidth(), imp.getHeight(), palette));
        }
        if (planes != null) imp.draw();
    }

    private static ColorProcessor picture(Object pixels, int width, int height, int[] palette) {
        int[] colors = new int[width * height];
        for (int i = 0; i < colors.length; i++) {
            long id = id(pixels, i);
            colors[i] = palette[id > 0 ? (int) ((id - 1) % (palette.length - 1)) + 1 : 0];
        }
        return new ColorProcessor(width, height, colors);
    }

    private static long id(Object pixels, int i) {
        if (pixels instanceof byte[]) return ((byte[]) pixels)[i] & 0xff;
        if (pixels instanceof short[]) return ((short[]) pixels)[i] & 0xffff;
        return pixels instanceof int[] ? ((int[]) pixels)[i] : (long) ((float[]) pixels)[i];
    }
}
