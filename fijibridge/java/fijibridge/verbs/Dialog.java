package fijibridge.verbs;

import fijibridge.OpenImages;
import fijibridge.verbs.Verb.Parameter;
import ij.IJ;
import ij.ImagePlus;
import ij.Prefs;
import ij.gui.GenericDialog;
import ij.gui.YesNoCancelDialog;
import ij.plugin.frame.RoiManager;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.Component;
import java.awt.Label;
import java.awt.TextComponent;
import java.awt.TextField;
import java.awt.event.FocusAdapter;
import java.awt.event.FocusEvent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Vector;

/**
 * The dialog of a verb: a GenericDialog with a field for each parameter, filled with the last values used. Fields are read
 * directly, because the getNext... methods would record their own macro options, and read invalid numbers as NaN.
 */
public final class Dialog {
    public static final String MANAGER = "ROI Manager", OVERLAY = "overlay";
    private static final String NEVER = "\0", NONE = "none", HINT = "Click a field to see its help here.";
    /** Columns of a field for a path, columns of a short field, characters in a line of a message. */
    private static final int WIDE = 40, NARROW = 8, LINE = 84;
    /** Number of short fields at which two are placed in each row, so that the dialog fits a small screen. */
    private static final int MANY = 9;
    private static final int HELP_LINES = 4;

    private final GenericDialog dialog;
    private final Map<Parameter, Component> fields = new LinkedHashMap<>();

    // --- initial values -----------------------------------------------------------------------------

    /** Returns the initial text of each field: the last value used, else the default; for images, an open one. */
    public static Map<String, String> offered(Verb verb, ImagePlus active) {
        Map<Integer, String> titles = OpenImages.names();
        List<String> free = new ArrayList<>(titles.values());
        String first = active == null ? null : titles.get(active.getID());
        if (free.remove(first)) free.add(0, first);
        Map<String, String> texts = new HashMap<>();
        for (Parameter parameter : verb.imagesFirst()) {
            String last = Prefs.get(key(verb.name, parameter.name), NEVER);
            boolean gone = parameter.kind.equals("choice") && !parameter.choices.contains(last);
            boolean known = !last.equals(NEVER) && !gone;
            String usual = parameter.usual == null ? "" : parameter.usual;
            texts.put(parameter.name, parameter.isInput() ? offeredImage(parameter, last, free) : known ? last : usual);
        }
        return texts;
    }

    /** Returns the key under which ImageJ's preferences store the last value of a parameter. */
    private static String key(String verb, String parameter) {
        return "fijibridge." + verb + "." + parameter;
    }

    /** Sets the initial text of a field in the next dialog of a verb. */
    public static void offer(String verb, String parameter, String text) {
        Prefs.set(key(verb, parameter), text);
    }

    /** Returns the last image used if it is open, else an image that no other field contains. */
    private static String offeredImage(Parameter parameter, String last, List<String> free) {
        List<String> choices = choices(parameter);
        if (parameter.optional) return choices.contains(last) ? last : NONE;
        boolean cells = parameter.kind.equals("cells");
        List<String> likely = cells ? namedAsCells(parameter, free) : new ArrayList<>();
        likely.addAll(free);
        likely.addAll(choices);
        likely.add("");
        String chosen = cells && choices.contains(last) ? last : likely.get(0);
        free.remove(chosen);
        return chosen;
    }

    /** Returns the titles that suggest label images, the most likely first. */
    private static List<String> namedAsCells(Parameter parameter, List<String> titles) {
        // titles of label images that were drawn by hand, or computed
        String[] words = parameter.name.startsWith("true")
            ? new String[] {"truth", "_gt", "label", "cells"} : new String[] {"cells", "label", "seg"};
        List<String> found = new ArrayList<>();
        for (String title : titles) if (rank(title, words) < words.length) found.add(title);
        found.sort((one, other) -> Integer.compare(rank(one, words), rank(other, words)));
        return found;
    }

    private static int rank(String title, String[] words) {
        int rank = 0;
        while (rank < words.length && !title.toLowerCase().contains(words[rank])) rank++;
        return rank;
    }

    private static List<String> choices(Parameter parameter) {
        List<String> found = new ArrayList<>();
        if (parameter.optional) found.add(NONE);
        found.addAll(parameter.isInput() ? OpenImages.names().values() : parameter.choices);
        if (parameter.kind.equals("cells")) {
            RoiManager manager = RoiManager.getInstance2();
            boolean filled = manager != null && manager.getCount() > 0;
            found.addAll(filled ? Arrays.asList(MANAGER, OVERLAY) : Arrays.asList(OVERLAY, MANAGER));
        }
        return found;
    }

    /** Saves the values in ImageJ's preferences for the next dialog; defaults are not saved. */
    public static void remember(Verb verb, Map<String, String> texts) {
        for (Parameter parameter : verb.parameters) {
            String text = texts.get(parameter.name);
            boolean usual = text.equals(parameter.usual) || parameter.kind.equals("image");
            Prefs.set(key(verb.name, parameter.name), usual ? null : text);
        }
        Prefs.savePreferences();
    }

    // --- the dialog ---------------------------------------------------------------------------------

    /** Shows the dialog, and returns the text of each field; null if the user cancels. */
    public static Map<String, String> ask(Verb verb, Map<String, String> texts) {
        Dialog made = new Dialog(verb, texts);
        made.dialog.showDialog();
        return made.dialog.wasCanceled() ? null : made.texts();
    }

    /** Asks whether an image with unsaved changes may be replaced; null if the user cancels. */
    public static Boolean mayReplace(String title) {
        String text = "'" + title + "' was changed and is not saved.\nReplace it with the new result (Edit > Undo "
            + "restores a single plane),\nor keep it, and open the result in a new window?";
        YesNoCancelDialog dialog =
            new YesNoCancelDialog(IJ.getInstance(), "FijiBridge", text, " Replace ", " Keep Both ");
        return dialog.cancelPressed() ? null : dialog.yesPressed();
    }

    private Dialog(Verb verb, Map<String, String> texts) {
        dialog = new GenericDialog(verb.command.replaceFirst("\\.\\.\\.$", ""));
        dialog.addMessage(wrapped(verb.summary));
        int narrow = 0;
        for (Parameter parameter : verb.parameters) if (!parameter.wide) narrow++;
        boolean beside = false;
        for (Parameter parameter : verb.parameters) {
            boolean small = narrow >= MANY && !parameter.wide;
            if (small && beside) dialog.addToSameRow();
            beside = small && !beside;
            fields.put(parameter, add(parameter, texts.get(parameter.name)));
        }
        addHelpLines();
        dialog.addHelp(verb.help);
    }

    /** Adds lines that show the help text of the focused field. */
    private void addHelpLines() {
        // as wide as a full line, because the size of a label is fixed when the dialog opens
        StringBuilder wide = new StringBuilder(HINT);
        while (wide.length() < LINE + LINE / 3) wide.append(' ');
        dialog.addMessage(filled(Collections.singletonList(wide.toString())));
        Component line = dialog.getMessage();
        FocusAdapter listener = new FocusAdapter() {
            @Override
            public void focusGained(FocusEvent event) {
                String text = HINT;
                for (Map.Entry<Parameter, Component> field : fields.entrySet())
                    if (field.getValue() == event.getComponent())
                        text = wrapped(field.getKey().title + ": " + field.getKey().told);
                setText(line, filled(Arrays.asList(text.split("\n"))));
            }
        };
        for (Component field : fields.values()) field.addFocusListener(listener);
    }

    /** Joins lines, padded or cut to the height of the help text. */
    private static String filled(List<String> lines) {
        List<String> all = new ArrayList<>(lines.subList(0, Math.min(HELP_LINES, lines.size())));
        while (all.size() < HELP_LINES) all.add(" ");
        return String.join("\n", all);
    }

    /** Sets the text of a message, a Label or ImageJ's MultiLineLabel. */
    private static void setText(Component message, String text) {
        if (message instanceof Label) ((Label) message).setText(text);
        else ((ij.gui.MultiLineLabel) message).setText(text);
    }

    private Component add(Parameter parameter, String text) {
        String label = parameter.title;
        if (parameter.kind.equals("text") && parameter.unit != null && !parameter.unit.isEmpty())
            label += " (" + parameter.unit + ")";
        if (parameter.kind.equals("flag")) {
            dialog.addCheckbox(label, text.equals("true"));
            return last(dialog.getCheckboxes());
        }
        label += ":";
        if (parameter.kind.equals("choice") || parameter.isInput()) {
            List<String> choices = choices(parameter);
            if (choices.isEmpty()) choices.add("");
            dialog.addChoice(label, choices.toArray(new String[0]), choices.contains(text) ? text : null);
            return last(dialog.getChoices());
        }
        if (parameter.isNumber()) dialog.addNumericField(label, Double.NaN, 0, NARROW, parameter.unit);
        else if (parameter.kind.equals("file")) dialog.addFileField(label, "", WIDE);
        else if (parameter.isPath()) dialog.addDirectoryField(label, "", WIDE);
        else dialog.addStringField(label, "", parameter.wide ? WIDE : NARROW);
        TextField field = (TextField) last(parameter.isNumber() ? dialog.getNumericFields() : dialog.getStringFields());
        field.setText(text);
        return field;
    }

    private static Component last(Vector<?> components) {
        return (Component) components.lastElement();
    }

    private Map<String, String> texts() {
        Map<String, String> texts = new LinkedHashMap<>();
        fields.forEach((parameter, field) -> texts.put(parameter.name, text(parameter, field)));
        return texts;
    }

    private static String text(Parameter parameter, Component field) {
        if (field instanceof Checkbox) return ((Checkbox) field).getState() ? "true" : "false";
        if (field instanceof Choice) {
            String text = ((Choice) field).getSelectedItem();
            return text == null || (parameter.optional && text.equals(NONE)) ? "" : text;
        }
        return ((TextComponent) field).getText().trim();
    }

    /** Breaks a message into lines that fit a dialog. */
    public static String wrapped(String text) {
        List<String> lines = new ArrayList<>();
        for (String part : text.split("\n", -1)) {
            StringBuilder line = new StringBuilder();
            for (String word : part.split("\\s+")) {
                if (line.length() > 0 && line.length() + 1 + word.length() > LINE) {
                    lines.add(line.toString());
                    line.setLength(0);
                }
                if (line.length() > 0) line.append(' ');
                line.append(word);
            }
            lines.add(line.length() > 0 ? line.toString() : " ");
        }
        return String.join("\n", lines);
    }
}
