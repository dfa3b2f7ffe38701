package fijibridge.session;

import ij.VirtualStack;
import ij.process.ByteProcessor;
import ij.process.ColorProcessor;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.ShortProcessor;
import java.util.function.Function;

/** A virtual stack whose planes are fetched from Python when ImageJ needs them. */
public final class PythonStack extends VirtualStack {
    private final Function<Integer, Object> source;
    private final String[] labels;

    /**
     * @param source function that returns the pixels of the slice with a 1-based number
     * @param labels label of each slice; null for none
     */
    public PythonStack(int width, int height, Function<Integer, Object> source, String[] labels) {
        super(width, height);
        this.source = source;
        this.labels = labels;
    }

    @Override
    public int getSize() {
        return labels.length;
    }

    @Override
    public int size() {
        return labels.length;
    }

    @Override
    public String getSliceLabel(int n) {
        return labels[n - 1];
    }

    @Override
    public void setSliceLabel(String label, int n) {
        labels[n - 1] = label;
    }

    @Override
    public Object getPixels(int n) {
        return getProcessor(n).getPixels();
    }

    @Override
    public ImageProcessor getProcessor(int n) {
        if (n < 1 || n > labels.length) throw new IllegalArgumentException("no slice " + n + " in " + labels.length);
        Object pixels = source.apply(n);
        int width = getWidth(), height = getHeight();
        ImageProcessor processor;
        if (pixels instanceof byte[]) processor = new ByteProcessor(width, height, (byte[]) pixels, null);
        else if (pixels instanceof short[]) processor = new ShortProcessor(width, height, (short[]) pixels, null);
        else if (pixels instanceof int[]) processor = new ColorProcessor(width, height, (int[]) pixels);
        else processor = new FloatProcessor(width, height, (float[]) pixels, null);
        processor.setSliceNumber(n);
        return processor;
    }

    @Override
    public void deleteSlice(int n) {
        throw unchangeable();
    }

    @Override
    public void addSlice(String label, ImageProcessor processor, int n) {
        throw unchangeable();
    }

    private static RuntimeException unchangeable() {
        return new IllegalArgumentException("this virtual stack is read from Python: duplicate it to change it");
    }
}
