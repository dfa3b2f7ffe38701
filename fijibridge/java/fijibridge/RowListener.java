package fijibridge;

import ij.measure.ResultsTable;
import ij.text.TextPanel;
import java.awt.event.MouseAdapter;
import java.awt.event.MouseEvent;
import java.util.function.BiConsumer;

/** Calls a function with the label of each table row that the user clicks, and with its slice and frame, 0 if unknown. */
final class RowListener extends MouseAdapter {
    private final TextPanel panel;
    private final BiConsumer<String, int[]> selected;

    RowListener(TextPanel panel, BiConsumer<String, int[]> selected) {
        this.panel = panel;
        this.selected = selected;
    }

    @Override
    public void mouseReleased(MouseEvent event) {
        ResultsTable table = panel.getResultsTable();
        int row = panel.getSelectionStart();
        if (table == null || row < 0 || row >= table.size() || !table.columnExists("label")) return;
        double number = table.getValue("label", row);
        boolean whole = number == Math.rint(number) && !Double.isInfinite(number);
        int[] place = {number(table, "slice", row), number(table, "frame", row)};
        selected.accept(whole ? String.valueOf((long) number) : table.getStringValue("label", row), place);
    }

    private static int number(ResultsTable table, String column, int row) {
        return table.columnExists(column) ? (int) table.getValue(column, row) : 0;
    }
}
