package fijibridge;

import ij.CompositeImage;
import ij.ImagePlus;
import ij.ImageStack;
import ij.io.FileInfo;
import ij.measure.Calibration;
import ij.process.LUT;
import java.awt.image.IndexColorModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Descriptions of images, and images made from descriptions: calibration, lookup tables, properties. */
public final class Images {
    private Images() {}

    /** Returns the pixels of each plane. If there is one plane, its processor is used: the stack may be outdated. */
    public static Object[] arrays(ImagePlus imp) {
        ImageStack stack = imp.getStack();
        int count = stack.getSize();
        if (count == 1) return new Object[] {imp.getProcessor().getPixels()};
        Object[] arrays = new Object[count];
        for (int i = 0; i < count; i++) arrays[i] = stack.getPixels(i + 1);
        return arrays;
    }

    // --- description --------------------------------------------------------------------------------

    /** Returns {@link #describe} as JSON. */
    public static String describeAsJson(ImagePlus imp) {
        return Json.write(describe(imp));
    }

    /** Describes an image without its pixels, in plain values that JSON can represent. */
    public static Map<String, Object> describe(ImagePlus imp) {
        int[] dims = imp.getDimensions(true);
        Calibration cal = imp.getCalibration();
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("title", imp.getTitle());
        description.put("id", imp.getID());
        description.put("counts", Arrays.asList(dims[4], dims[2], dims[3]));
        description.put("height", dims[1]);
        description.put("width", dims[0]);
        description.put("type", typeName(imp, cal));
        description.put("pixel_size", Arrays.asList(cal.pixelDepth, cal.pixelHeight, cal.pixelWidth));
        description.put("origin", Arrays.asList(cal.zOrigin, cal.yOrigin, cal.xOrigin));
        description.put("units", Arrays.asList(cal.getZUnit(), cal.getYUnit(), cal.getXUnit()));
        description.put("interval", cal.frameInterval);
        description.put("time_unit", cal.getTimeUnit());
        description.put("info", imp.getInfoProperty());
        String[] properties = imp.getPropertiesAsArray();
        if (properties != null) description.put("properties", Arrays.asList(properties));
        List<String> labels = labels(imp.getStack());
        if (labels != null) description.put("slice_labels", labels);
        if (imp.getType() != ImagePlus.COLOR_RGB) describeDisplay(imp, description);
        if (cal.calibrated() && !cal.isSigned16Bit() && cal.getFunction() != Calibration.NONE)
            description.put("calibration_function", function(cal));
        FileInfo file = imp.getOriginalFileInfo();
        if (file != null && file.fileName != null && !file.fileName.isEmpty())
            description.put("path", (file.directory == null ? "" : file.directory) + file.fileName);
        return description;
    }

    private static String typeName(ImagePlus imp, Calibration cal) {
        if (cal.isSigned16Bit()) return "signed 16-bit";
        switch (imp.getType()) {
            case ImagePlus.GRAY8: return "8-bit";
            case ImagePlus.GRAY16: return "16-bit";
            case ImagePlus.COLOR_256: return "8-bit color";
            case ImagePlus.COLOR_RGB: return "RGB";
            default: return "32-bit";
        }
    }

    /** Returns the labels of slices; null if no slice has one. */
    private static List<String> labels(ImageStack stack) {
        List<String> labels = new ArrayList<>();
        boolean any = false;
        for (int i = 1; i <= stack.getSize(); i++) {
            String label = stack.getSliceLabel(i);
            any = any || (label != null && !label.isEmpty());
            labels.add(label);
        }
        return any ? labels : null;
    }

    private static void describeDisplay(ImagePlus imp, Map<String, Object> description) {
        List<String> tables = new ArrayList<>();
        List<List<Double>> ranges = new ArrayList<>();
        if (imp.isComposite()) {
            for (LUT lut : imp.getLuts()) {
                tables.add(hex(lut));
                ranges.add(Arrays.asList(lut.min, lut.max));
            }
            description.put("mode", ((CompositeImage) imp).getMode());
        } else {
            tables.add(hex(imp.getProcessor().getLut()));
            ranges.add(Arrays.asList(imp.getDisplayRangeMin(), imp.getDisplayRangeMax()));
        }
        description.put("luts", tables);
        description.put("display_ranges", ranges);
    }

    private static Map<String, Object> function(Calibration cal) {
        List<Double> coefficients = new ArrayList<>();
        if (cal.getCoefficients() != null) for (double number : cal.getCoefficients()) coefficients.add(number);
        Map<String, Object> function = new LinkedHashMap<>();
        function.put("function", cal.getFunction());
        function.put("coefficients", coefficients);
        function.put("unit", cal.getValueUnit());
        return function;
    }

    /** Returns the 256 colours of a lookup table in hexadecimal: red, green and blue of each colour. */
    private static String hex(LUT lut) {
        byte[][] bands = new byte[3][256];
        lut.getReds(bands[0]);
        lut.getGreens(bands[1]);
        lut.getBlues(bands[2]);
        StringBuilder text = new StringBuilder(1536);
        for (int i = 0; i < 256; i++)
            for (byte[] band : bands)
                text.append(Character.forDigit((band[i] >> 4) & 15, 16)).append(Character.forDigit(band[i] & 15, 16));
        return text.toString();
    }

    // --- from a description -------------------------------------------------------------------------

    /** Returns an image with the planes of a stack; a hyperstack if it has several axes. */
    public static ImagePlus of(String title, ImageStack stack, int channels, int slices, int frames) {
        ImagePlus imp = new ImagePlus(title, stack);
        imp.setDimensions(channels, slices, frames);
        if (channels > 1 || (slices > 1 && frames > 1)) imp.setOpenAsHyperStack(true);
        return imp;
    }

    /**
     * Calibrates an image. Pixel sizes and origin are given along z, y and x; the origin is measured in pixels.
     *
     * @param units units along z, y and x; null to keep ImageJ's unit
     * @param timeUnit unit of the frame interval; null if the image has none
     * @param function calibration function of the grey values; -1 for none
     * @param coefficients coefficients of that function; null for none
     */
    public static void calibrate(
            ImagePlus imp, double[] pixelSize, double[] origin, String[] units, double interval, String timeUnit,
            boolean signed, int function, double[] coefficients, String valueUnit) {
        Calibration cal = new Calibration(imp);
        cal.pixelDepth = pixelSize[0];
        cal.pixelHeight = pixelSize[1];
        cal.pixelWidth = pixelSize[2];
        cal.zOrigin = origin[0];
        cal.yOrigin = origin[1];
        cal.xOrigin = origin[2];
        if (units[0] != null) cal.setZUnit(units[0]);
        if (units[1] != null) cal.setYUnit(units[1]);
        if (units[2] != null) cal.setXUnit(units[2]);
        if (timeUnit != null) {
            cal.frameInterval = interval;
            cal.setTimeUnit(timeUnit);
        }
        if (signed) cal.setSigned16BitCalibration();
        else if (function >= 0) cal.setFunction(function, coefficients, valueUnit);
        // use the calibration from Python even if the user has set a global one for all images
        imp.setIgnoreGlobalCalibration(true);
        imp.setCalibration(cal);
    }

    /** Sets the text of Image > Show Info, and the properties, given as name, value, name, value; null for none. */
    public static void annotate(ImagePlus imp, String info, String[] properties) {
        if (info != null && !info.isEmpty()) imp.setProperty("Info", info);
        if (properties != null && properties.length > 0) imp.setProperties(properties);
    }

    /**
     * Sets lookup tables and display ranges. If they are empty, ImageJ chooses its own when it shows the image.
     *
     * @param tables 768 bytes per table: red, green and blue of each colour
     * @param ranges lowest and highest displayed value for each table
     * @param mode display mode of a composite image; 0 if the image is not composite
     * @return the image, or the composite image that replaces it
     */
    public static ImagePlus display(ImagePlus imp, byte[][] tables, double[][] ranges, int mode) {
        LUT[] luts = new LUT[tables.length];
        for (int i = 0; i < luts.length; i++) luts[i] = lut(tables[i], ranges[i][0], ranges[i][1]);
        if (mode != 0 && imp.getNChannels() > 1) {
            CompositeImage composite = new CompositeImage(imp, mode);
            if (luts.length == imp.getNChannels()) composite.setLuts(luts);
            return composite;
        }
        if (luts.length > 0 && mode == 0) {
            imp.setLut(luts[0]);
            imp.setDisplayRange(ranges[0][0], ranges[0][1]);
        }
        return imp;
    }

    public static LUT lut(byte[] table, double low, double high) {
        byte[][] bands = new byte[3][256];
        for (int i = 0; i < 256; i++) for (int b = 0; b < 3; b++) bands[b][i] = table[3 * i + b];
        return new LUT(new IndexColorModel(8, 256, bands[0], bands[1], bands[2]), low, high);
    }

    /** Sets the display range of all channels. */
    public static void limit(ImagePlus imp, double low, double high) {
        if (!imp.isComposite()) {
            imp.setDisplayRange(low, high);
            return;
        }
        LUT[] luts = imp.getLuts();
        for (LUT lut : luts) {
            lut.min = low;
            lut.max = high;
        }
        ((CompositeImage) imp).setLuts(luts);
    }

    // --- copies -------------------------------------------------------------------------------------

    /**
     * Returns a hidden image with the same pixel arrays, calibration, display and overlay.
     *
     * @param stack stack of the new image; null for the image's own
     */
    public static ImagePlus copy(ImagePlus imp, ImageStack stack) {
        if (stack == null) {
            stack = imp.getStack();
            if (stack.getSize() == 1 && !stack.isVirtual()) {
                // a new stack, because the stack of an open single-plane image changes with the image
                stack = emptyLike(stack);
                stack.setPixels(imp.getProcessor().getPixels(), 1);
            }
        }
        ImagePlus kept = new ImagePlus(imp.getTitle(), stack);
        int[] dims = imp.getDimensions(true);
        kept.setDimensions(dims[2], dims[3], dims[4]);
        kept.setOpenAsHyperStack(imp.isHyperStack());
        kept.setCalibration(imp.getCalibration().copy());
        if (imp.isComposite()) {
            kept = new CompositeImage(kept, ((CompositeImage) imp).getMode());
            ((CompositeImage) kept).setLuts(imp.getLuts());
        } else if (imp.getType() != ImagePlus.COLOR_RGB) {
            kept.setLut(imp.getProcessor().getLut());
            kept.setDisplayRange(imp.getDisplayRangeMin(), imp.getDisplayRangeMax());
        }
        kept.setOverlay(imp.getOverlay());
        for (String name : new String[] {"Info", Pushes.PUSHED}) kept.setProperty(name, imp.getProperty(name));
        kept.changes = imp.changes;
        return kept;
    }

    /** Returns a stack with the same size and labels, but without pixels. */
    public static ImageStack emptyLike(ImageStack stack) {
        int size = stack.getSize();
        ImageStack made = new ImageStack(stack.getWidth(), stack.getHeight(), size);
        for (int i = 1; i <= size; i++)
            if (stack.getSliceLabel(i) != null) made.setSliceLabel(stack.getSliceLabel(i), i);
        made.setColorModel(stack.getColorModel());
        return made;
    }

    /** Returns a second image with the same pixels but without a window, so that measuring draws nothing. */
    static ImagePlus twin(ImagePlus imp) {
        ImagePlus twin;
        if (imp.getStackSize() == 1) twin = new ImagePlus(imp.getTitle(), imp.getProcessor());
        else {
            twin = new ImagePlus(imp.getTitle(), imp.getStack());
            twin.setDimensions(imp.getNChannels(), imp.getNSlices(), imp.getNFrames());
            twin.setOpenAsHyperStack(imp.isHyperStack());
        }
        twin.setIgnoreGlobalCalibration(true);
        twin.setCalibration(imp.getCalibration());
        return twin;
    }
}
