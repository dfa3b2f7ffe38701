package fijibridge;

import ij.ImagePlus;
import ij.gui.Roi;
import ij.measure.ResultsTable;
import ij.plugin.filter.Analyzer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Measures ROIs with ImageJ's Analyzer. Each ROI is measured on its own slice and channel. */
public final class Measuring {
    private Measuring() {}

    /**
     * Measures ROIs. The image stays unchanged, because a second image with the same pixels is measured.
     *
     * @param flags constants of {@link ij.measure.Measurements}
     * @param channel 1-based number of the channel; 0 for the channel of each ROI, or else the current channel
     * @return a double[] or String[] for each column, with one row per ROI, in the order of the ROIs
     */
    public static synchronized Map<String, Object> measure(ImagePlus imp, Roi[] rois, int flags, int channel) {
        if (Analyzer.isRedirectImage())
            throw new UserError("Analyze > Set Measurements redirects measurements to another image: choose "
                + "'Redirect to: None' there");
        Map<Integer, List<Integer>> rowsOfSlices = new TreeMap<>();
        for (int i = 0; i < rois.length; i++)
            rowsOfSlices.computeIfAbsent(Rois.stackIndex(imp, rois[i], channel), slice -> new ArrayList<>()).add(i);
        ImagePlus twin = Images.twin(imp);
        Map<String, Object> columns = new LinkedHashMap<>();
        int before = Analyzer.getMeasurements();  // the user's choice, which all threads share
        Analyzer.setMeasurements(flags);
        try {
            for (Map.Entry<Integer, List<Integer>> entry : rowsOfSlices.entrySet()) {
                List<Integer> rows = entry.getValue();
                Roi[] here = new Roi[rows.size()];
                for (int i = 0; i < here.length; i++) here[i] = rois[rows.get(i)];
                twin.setSliceWithoutUpdate(entry.getKey());
                ResultsTable part = Rois.overlayOf(here).measure(twin);
                if (part.size() != here.length)
                    throw new IllegalArgumentException(
                        "ImageJ's table has several rows for one ROI (a multi-point): measure areas or single points");
                fill(columns, Tables.columns(part), rows, rois.length);
            }
        } finally {
            Analyzer.setMeasurements(before);
        }
        return columns;
    }

    /** Copies the rows of one group of ROIs to their places in the columns, and creates columns that do not exist. */
    private static void fill(Map<String, Object> columns, Map<String, Object> part, List<Integer> rows, int size) {
        for (Map.Entry<String, Object> entry : part.entrySet()) {
            boolean text = entry.getValue() instanceof String[];
            Object column = columns.computeIfAbsent(entry.getKey(), name -> text ? new String[size] : filled(size));
            for (int i = 0; i < rows.size(); i++) {
                if (text) ((String[]) column)[rows.get(i)] = ((String[]) entry.getValue())[i];
                else ((double[]) column)[rows.get(i)] = ((double[]) entry.getValue())[i];
            }
        }
    }

    private static double[] filled(int size) {
        double[] numbers = new double[size];
        Arrays.fill(numbers, Double.NaN);
        return numbers;
    }
}
