package fijibridge;

import ij.gui.Plot;
import java.awt.Color;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Plots of curves. */
public final class Plots {
    private static final String[] COLORS = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf"};

    private Plots() {}

    public static Color color(int number) {
        return Color.decode(COLORS[number % COLORS.length]);
    }

    /** Returns a plot of curves that share their x values; values that are not finite are omitted. */
    public static Plot lines(
            String title, String xLabel, String yLabel, double[] x, String[] names, double[][] curves) {
        Plot plot = new Plot(title, xLabel, yLabel);
        List<String> shown = new ArrayList<>();
        for (int i = 0; i < curves.length; i++) {
            double[] y = curves[i], knownX = new double[y.length], knownY = new double[y.length];
            int count = 0;
            for (int k = 0; k < y.length; k++) {
                if (Double.isNaN(y[k]) || Double.isInfinite(y[k])) continue;
                knownX[count] = x[k];
                knownY[count++] = y[k];
            }
            if (count == 0) continue;
            plot.setColor(color(i));
            plot.setLineWidth(2);
            plot.add("line", Arrays.copyOf(knownX, count), Arrays.copyOf(knownY, count));
            shown.add(names[i]);
        }
        plot.setColor(Color.black);
        if (shown.size() > 1) plot.addLegend(String.join("\n", shown));
        plot.setLimitsToFit(false);
        return plot;
    }
}
