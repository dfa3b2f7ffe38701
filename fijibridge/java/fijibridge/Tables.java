package fijibridge;

import ij.measure.ResultsTable;
import ij.text.TextPanel;
import java.awt.Component;
import java.awt.event.MouseListener;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;

/** Converts ImageJ's ResultsTable to a map from headings to columns (double[] or String[]), and back. */
public final class Tables {
    private static final List<String> EMPTY = Arrays.asList("NaN", "Infinity", "-Infinity", "", "null");

    private Tables() {}

    /** Returns the columns of a table. An empty cell is NaN in a column of numbers, and "" in a column of text. */
    public static Map<String, Object> columns(ResultsTable table) {
        Map<String, Object> columns = new LinkedHashMap<>();
        for (String heading : table.getHeadings()) {
            if (heading.trim().isEmpty()) continue;
            double[] numbers = numbers(table, heading);
            columns.put(heading, numbers == null || isText(table, heading, numbers) ? texts(table, heading) : numbers);
        }
        return columns;
    }

    /** Returns a column as numbers; null for the row labels, which are text. */
    private static double[] numbers(ResultsTable table, String heading) {
        int index = heading.equals("Label") ? -1 : table.getColumnIndex(heading);
        return index < 0 ? null : table.getColumnAsDoubles(index);
    }

    private static String[] texts(ResultsTable table, String heading) {
        String[] texts = new String[table.size()];
        for (int row = 0; row < texts.length; row++) {
            String text = table.getStringValue(heading, row);
            texts[row] = text == null ? "" : text;
        }
        return texts;
    }

    /** Tells whether a column contains text: a cell that ImageJ reads as NaN although its text is not a number. */
    private static boolean isText(ResultsTable table, String heading, double[] numbers) {
        for (int row = 0; row < numbers.length; row++)
            if ((Double.isNaN(numbers[row]) || Double.isInfinite(numbers[row]))
                    && !EMPTY.contains(String.valueOf(table.getStringValue(heading, row)))) return true;
        return false;
    }

    /** Returns a table with these columns; whole numbers are shown as in {@link #setDecimals}. */
    public static ResultsTable of(int rows, String[] names, Object[] columns) {
        ResultsTable table = new ResultsTable(rows);
        for (int i = 0; rows > 0 && i < names.length; i++) put(table, names[i], columns[i]);
        setDecimals(table);
        return table;
    }

    static void put(ResultsTable table, String name, Object column) {
        if (column instanceof double[]) table.setValues(name, (double[]) column);
        else {
            String[] texts = (String[]) column;
            for (int row = 0; row < texts.length; row++) table.setValue(name, row, texts[row]);
        }
    }

    /** Shows columns of whole numbers (and empty cells) without decimal places, and all other columns with four. */
    public static void setDecimals(ResultsTable table) {
        for (String heading : table.getHeadings()) {
            int index = table.getColumnIndex(heading);
            double[] column = index < 0 ? null : table.getColumnAsDoubles(index);
            if (column == null) continue;
            boolean whole = true;
            for (double number : column) whole = whole && (Double.isNaN(number) || number == Math.rint(number));
            table.setDecimalPlaces(index, whole ? 0 : 4);
        }
    }

    /** Returns a table with the rows of both tables. If only one of them has a column, the other's cells are empty. */
    public static ResultsTable append(ResultsTable there, ResultsTable more) {
        Map<String, Object> old = columns(there), added = columns(more);
        int before = there.size(), rows = before + more.size();
        Set<String> names = new LinkedHashSet<>(old.keySet());
        names.addAll(added.keySet());
        Object[] joined = new Object[names.size()];
        int i = 0;
        for (String name : names) {
            Object first = old.get(name), second = added.get(name);
            if (first instanceof String[] || second instanceof String[]) {
                String[] texts = new String[rows];
                for (int row = 0; row < rows; row++)
                    texts[row] = row < before ? text(there, first, name, row) : text(more, second, name, row - before);
                joined[i++] = texts;
            } else {
                double[] numbers = new double[rows];
                Arrays.fill(numbers, Double.NaN);
                if (first != null) System.arraycopy(first, 0, numbers, 0, before);
                if (second != null) System.arraycopy(second, 0, numbers, before, rows - before);
                joined[i++] = numbers;
            }
        }
        return of(rows, names.toArray(new String[0]), joined);
    }

    private static String text(ResultsTable table, Object column, String name, int row) {
        if (column == null) return "";
        return column instanceof String[] ? ((String[]) column)[row] : table.getStringValue(name, row);
    }

    // --- rows that are clicked ----------------------------------------------------------------------

    /** Calls a function with label and slice (0 if unknown) of each row that is clicked; replaces earlier callbacks. */
    public static void follow(TextPanel panel, BiConsumer<String, int[]> selected) {
        unfollow(panel);
        panel.addMouseListener(new RowListener(panel, selected));
    }

    public static void unfollow(TextPanel panel) {
        // ImageJ's panel adds listeners to its canvas, but cannot remove them from it
        for (Component part : panel.getComponents())
            for (MouseListener listener : part.getMouseListeners())
                // by name, because a listener added by another class loader has a different class
                if (listener.getClass().getName().equals(RowListener.class.getName()))
                    part.removeMouseListener(listener);
    }
}
