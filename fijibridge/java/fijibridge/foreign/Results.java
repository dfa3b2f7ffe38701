package fijibridge.foreign;

import fijibridge.Images;
import fijibridge.Measuring;
import fijibridge.OpenImages;
import fijibridge.Plots;
import fijibridge.Pushes;
import fijibridge.Rois;
import fijibridge.Tables;
import fijibridge.UserError;
import fijibridge.verbs.Dialog;
import fijibridge.verbs.Places;
import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import ij.WindowManager;
import ij.gui.Plot;
import ij.gui.Roi;
import ij.measure.Measurements;
import ij.measure.ResultsTable;
import ij.plugin.filter.Analyzer;
import ij.plugin.frame.RoiManager;
import ij.text.TextPanel;
import ij.text.TextWindow;
import java.awt.GraphicsEnvironment;
import java.awt.Window;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Shows the results of a verb: images, outlines, tables, curves and measurements. */
final class Results {
    private final Map<String, ImagePlus> open;
    private final Caller caller;
    private final Places places;

    /**
     * @param open the open image passed for each parameter, by the name of the parameter
     */
    Results(Map<String, ImagePlus> open, Caller caller, Places places) {
        this.open = open;
        this.caller = caller;
        this.places = places;
    }

    void show(Map<?, ?> result) {
        String kind = (String) result.get("kind");
        switch (kind) {
            case "image": showImage(result); break;
            case "outlines": outline(result, still((String) result.get("over"))); break;
            case "table":
                ImagePlus selectIn = result.get("select_in") == null ? null : open.get(result.get("select_in"));
                showTable(table(result), (String) result.get("name"), flag(result.get("add")), selectIn);
                break;
            case "curves": plot(result); break;
            case "measure": measure(result, still((String) result.get("on"))); break;
            case "say": IJ.log((String) result.get("text")); break;
            case "offer":
                String text = (String) result.get("text");
                Dialog.offer((String) result.get("verb"), (String) result.get("parameter"), text);
                break;
            default: throw new UserError("Python returned a result of unknown kind '" + kind + "'");
        }
    }

    private ImagePlus still(String parameter) {
        ImagePlus imp = open.get(parameter);
        if (imp == null || imp.getProcessor() == null)
            throw new UserError("the image for " + parameter + " was closed before the result could be shown in it");
        return imp;
    }

    // --- plain JSON values as Java values -----------------------------------------------------------

    private static boolean flag(Object value) {
        return Boolean.TRUE.equals(value);
    }

    private static int integer(Object value) {
        return ((Number) value).intValue();
    }

    private static double number(Object value) {
        return ((Number) value).doubleValue();
    }

    private static double[] doubles(Object values) {
        List<?> list = (List<?>) values;
        double[] numbers = new double[list.size()];
        for (int i = 0; i < numbers.length; i++) numbers[i] = number(list.get(i));
        return numbers;
    }

    private static String[] strings(Object values) {
        return values == null ? null : ((List<?>) values).toArray(new String[0]);
    }

    private static byte[] bytes(Object hex) {
        String text = (String) hex;
        byte[] bytes = new byte[text.length() / 2];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
        return bytes;
    }

    // --- images -------------------------------------------------------------------------------------

    private void showImage(Map<?, ?> result) {
        int width = integer(result.get("width")), height = integer(result.get("height"));
        Object[] planes = Blocks.planes((List<?>) result.get("blocks"), width * height);
        ImagePlus imp = made(result, planes, width, height);
        String title = places.find((String) result.get("name"));
        imp.setTitle(title);
        List<ImagePlus> there = OpenImages.titled(title);
        // before the replacement, because ImageJ drops the snapshot of Edit > Undo when another window is activated
        if (!there.isEmpty()) caller.activate(there.get(0));
        ImagePlus shown = inWindow(imp, there.isEmpty() ? null : there.get(0));
        if (result.get("first") != null) shown.setC(integer(result.get("first")));
        if (flag(result.get("paint")))
            shown.setOverlay(Rois.painted(planes, width, height, palette(bytes(result.get("colors")))));
        else if (Rois.drawn(shown).length < Rois.inOverlay(shown).length) shown.setOverlay(null);
        caller.activate(shown);  // ImageJ does not activate a window whose image is replaced
    }

    private static ImagePlus made(Map<?, ?> result, Object[] planes, int width, int height) {
        ImageStack stack = new ImageStack(width, height);
        String[] labels = strings(result.get("labels"));
        for (int i = 0; i < planes.length; i++) stack.addSlice(labels == null ? null : labels[i], planes[i]);
        List<?> counts = (List<?>) result.get("counts");
        int frames = integer(counts.get(0)), channels = integer(counts.get(1)), slices = integer(counts.get(2));
        ImagePlus imp = Images.of((String) result.get("name"), stack, channels, slices, frames);
        calibrate(imp, result);
        Images.annotate(imp, (String) result.get("info"), strings(result.get("properties")));
        if (!flag(result.get("rgb"))) imp = displayed(imp, result);
        double[] limits = result.get("limits") == null ? null : doubles(result.get("limits"));
        if (limits != null) Images.limit(imp, limits[0], limits[1]);
        if (result.get("colors") == null) return imp;
        imp.setLut(Images.lut(bytes(result.get("colors")), 0, 255));
        if (limits != null) imp.setDisplayRange(limits[0], limits[1]);
        return imp;
    }

    private static void calibrate(ImagePlus imp, Map<?, ?> result) {
        boolean timed = result.get("interval") != null;
        double interval = timed ? number(result.get("interval")) : 0;
        Map<?, ?> function = (Map<?, ?>) result.get("function");
        double[] coefficients = function == null ? null : doubles(function.get("coefficients"));
        Images.calibrate(
            imp, doubles(result.get("pixel_size")), doubles(result.get("origin")), strings(result.get("units")),
            interval, timed ? (String) result.get("time_unit") : null, flag(result.get("signed")),
            function == null ? -1 : integer(function.get("function")),
            coefficients == null || coefficients.length == 0 ? null : coefficients,
            function == null ? null : (String) function.get("unit"));
    }

    private static ImagePlus displayed(ImagePlus imp, Map<?, ?> result) {
        List<?> luts = (List<?>) result.get("luts"), ranges = (List<?>) result.get("ranges");
        byte[][] tables = new byte[luts.size()][];
        double[][] limits = new double[tables.length][];
        for (int i = 0; i < tables.length; i++) {
            tables[i] = bytes(luts.get(i));
            limits[i] = doubles(ranges.get(i));
        }
        return Images.display(imp, tables, limits, result.get("mode") == null ? 0 : integer(result.get("mode")));
    }

    private static int[] palette(byte[] colors) {
        int[] palette = new int[colors.length / 3];
        for (int i = 0; i < palette.length; i++)
            palette[i] = (colors[3 * i] & 255) << 16 | (colors[3 * i + 1] & 255) << 8 | (colors[3 * i + 2] & 255);
        return palette;
    }

    /** Shows a result in the window of the image that it replaces. If this is not possible, opens a new window. */
    private ImagePlus inWindow(ImagePlus made, ImagePlus there) {
        ImagePlus shown = made;
        if (there == null) {
            Pushes.notePushed(made);
            made.show();
        } else {
            shown = Pushes.replace(there, made, true, caller.context());
        }
        Places.mark(shown, made.getTitle());
        return shown;
    }

    // --- ROIs and tables ----------------------------------------------------------------------------

    private static Roi[] rois(Map<?, ?> result, String axis) {
        int[] sizes = Blocks.ints(result.get("sizes")), colors = Blocks.ints(result.get("colors"));
        return Rois.decode(Blocks.bytes(result.get("bytes")), sizes, colors, axis);
    }

    private static void outline(Map<?, ?> result, ImagePlus imp) {
        Roi[] rois = rois(result, imp.isHyperStack() ? Rois.axis(imp) : "");
        // first, because the manager copies the ROIs, and ImageJ changes those that it draws
        if (flag(result.get("manager")) && !GraphicsEnvironment.isHeadless())
            Rois.add(RoiManager.getRoiManager(), rois);
        imp.setOverlay(Rois.overlayOf(rois));
    }

    private static ResultsTable table(Map<?, ?> result) {
        List<String> names = new ArrayList<>();
        List<Object> columns = new ArrayList<>();
        collect(result, names, columns);
        return Tables.of(integer(result.get("rows")), names.toArray(new String[0]), columns.toArray());
    }

    private static void collect(Map<?, ?> result, List<String> names, List<Object> columns) {
        double[][] numbers = Blocks.doubles(result.get("numbers"));
        for (Object item : (List<?>) result.get("columns")) {
            Map<?, ?> column = (Map<?, ?>) item;
            names.add((String) column.get("name"));
            if (column.get("texts") != null) columns.add(strings(column.get("texts")));
            else columns.add(numbers.length == 0 ? new double[0] : numbers[integer(column.get("number"))]);
        }
    }

    /** Shows a table. Without windows, it is stored as IJ.getProperty("fijibridge.table.NAME"). */
    private static void showTable(ResultsTable table, String name, boolean add, ImagePlus selectIn) {
        boolean headless = GraphicsEnvironment.isHeadless();
        String key = "fijibridge.table." + name;
        if (add) {
            Object there = headless ? IJ.getProperty(key) : ResultsTable.getResultsTable(name);
            if (there != null) table = Tables.append((ResultsTable) there, table);
        }
        if (name.equals("Results")) {
            Analyzer.setResultsTable(table);  // also empties the window, and resets the decimal places
            Tables.setDecimals(table);
        }
        if (headless) {
            IJ.setProperty(key, table);
            return;
        }
        table.show(name);
        Window window = WindowManager.getWindow(name);
        if (!(window instanceof TextWindow)) return;
        TextPanel panel = ((TextWindow) window).getTextPanel();
        if (selectIn == null) Tables.unfollow(panel);
        else Tables.follow(panel, (label, place) -> select(selectIn, label, place));
    }

    private static void select(ImagePlus imp, String label, int[] place) {
        if (imp.getProcessor() == null) return;
        Roi roi = Rois.named(imp, Rois.inOverlay(imp), label, place[0], place[1]);
        if (roi == null) IJ.showStatus("the ROI '" + label + "' no longer exists");
        else Rois.select(imp, roi);
    }

    private static void measure(Map<?, ?> result, ImagePlus imp) {
        int flags = 0;
        try {
            for (Object name : (List<?>) result.get("constants"))
                flags |= Measurements.class.getField((String) name).getInt(null);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
        int channel = result.get("channel") == null ? 0 : integer(result.get("channel"));
        Roi[] rois = rois(result, "");
        Map<String, Object> measured = Measuring.measure(imp, rois, flags, channel);
        List<String> names = new ArrayList<>();
        List<Object> columns = new ArrayList<>();
        collect((Map<?, ?>) result.get("told"), names, columns);
        names.addAll(measured.keySet());
        columns.addAll(measured.values());
        showTable(Tables.of(rois.length, names.toArray(new String[0]), columns.toArray()), "Results", false, imp);
    }

    // --- curves -------------------------------------------------------------------------------------

    private void plot(Map<?, ?> result) {
        double[][] numbers = Blocks.doubles(result.get("numbers"));
        double[][] curves = java.util.Arrays.copyOfRange(numbers, 1, numbers.length);
        String title = Places.beside((String) result.get("name"));
        String xLabel = (String) result.get("xlabel"), yLabel = (String) result.get("ylabel");
        Plot plot = Plots.lines(title, xLabel, yLabel, numbers[0], strings(result.get("names")), curves);
        for (ImagePlus imp : OpenImages.titled(title)) {
            imp.changes = false;
            imp.close();
        }
        ImagePlus imp = plot.getImagePlus();
        imp.setTitle(title);
        if (GraphicsEnvironment.isHeadless()) imp.show();
        else imp = plot.show().getImagePlus();
        Places.mark(imp, title);
        caller.activate(imp);
    }
}
