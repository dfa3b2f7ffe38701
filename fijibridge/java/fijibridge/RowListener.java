package fijibridge;

import ij.measure.ResultsTable;
import ij.text.TextPanel;
import java.awt.event.MouseAdapter;
import java.awt.event.MouseEvent;
import java.util.function.BiConsumer;

/** Calls a function with the label and slice of each table row that the user clicks. */
final class RowListener extends MouseAdapter {
    private final TextPanel panel;
    private final BiConsumer<String, Integer> selected;

    RowListener(TextPanel panel, BiConsumer<String, Integer> selected) {
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
        int slice = table.columnExists("slice") ? (int) table.getValue("slice", row) : 0;
        selected.accept(whole ? String.valueOf((long) number) : table.getStringValue("label", row), slice);
    }
}
