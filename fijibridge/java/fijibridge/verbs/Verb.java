package fijibridge.verbs;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A verb, with the texts of its dialog, as described by its script or by Python. */
public final class Verb {
    public final String name, command, summary, help;
    public final boolean isLong;
    public final List<Parameter> parameters = new ArrayList<>();

    /**
     * @param described description, see fijibridge/verbs/dialog_fields.py
     */
    public Verb(Map<String, Object> described) {
        name = (String) described.get("name");
        command = (String) described.get("command");
        summary = (String) described.get("summary");
        help = (String) described.get("help");
        isLong = (Boolean) described.get("long");
        for (Object parameter : (List<?>) described.get("parameters"))
            parameters.add(new Parameter((Map<?, ?>) parameter));
    }

    /** Returns the names that a call may pass values for, old names too: Python renames those, and warns. */
    public List<String> names() {
        List<String> names = new ArrayList<>();
        for (Parameter parameter : parameters) {
            names.add(parameter.name);
            names.addAll(parameter.was);
        }
        if (!names.contains("overwrite")) names.add("overwrite");
        return names;
    }

    /** Tells whether overwrite is a parameter of the verb itself; else it is an option of all verbs that show images. */
    public boolean ownsOverwrite() {
        for (Parameter parameter : parameters) if (parameter.name.equals("overwrite")) return true;
        return false;
    }

    /** Returns the parameters, images first, because cells may be drawn on one of them. */
    public List<Parameter> imagesFirst() {
        List<Parameter> sorted = new ArrayList<>(parameters);
        sorted.sort((one, other) -> Boolean.compare(!one.kind.equals("image"), !other.kind.equals("image")));
        return sorted;
    }

    /** A parameter as shown in the dialog. */
    public static final class Parameter {
        public final String name, kind, title, unit, usual, told;
        public final boolean optional, wide;
        public final List<String> choices = new ArrayList<>(), was = new ArrayList<>();

        private Parameter(Map<?, ?> described) {
            name = (String) described.get("name");
            kind = (String) described.get("kind");
            title = (String) described.get("title");
            unit = (String) described.get("unit");
            usual = (String) described.get("usual");
            told = (String) described.get("told");
            optional = Boolean.TRUE.equals(described.get("optional"));
            wide = Boolean.TRUE.equals(described.get("wide"));
            if (described.get("was") != null) // missing in scripts of version 0.1
                for (Object old : (List<?>) described.get("was")) was.add((String) old);
            if (described.get("choices") == null) return;
            for (Object choice : (List<?>) described.get("choices")) choices.add((String) choice);
        }

        /** Returns the value given for this parameter under its name or a former one; null if there is none. */
        public Object valueIn(Map<String, ?> values) {
            Object value = values.get(name);
            for (String old : was) if (value == null) value = values.get(old);
            return value;
        }

        public boolean isInput() {
            return kind.equals("image") || kind.equals("cells");
        }

        public boolean isPath() {
            return kind.equals("file") || kind.equals("folder") || kind.equals("new folder");
        }

        public boolean isNumber() {
            return kind.equals("integer") || kind.equals("number");
        }
    }
}
