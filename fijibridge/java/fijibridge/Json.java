package fijibridge;

import java.util.Map;

/** Converts plain values to JSON. Non-finite numbers are written as NaN and Infinity, because Python can read these. */
public final class Json {
    private Json() {}

    public static String write(Object value) {
        StringBuilder text = new StringBuilder();
        write(value, text);
        return text.toString();
    }

    private static void write(Object value, StringBuilder text) {
        if (value == null || value instanceof Number || value instanceof Boolean) text.append(value);
        else if (value instanceof Map) {
            String before = "{";
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                text.append(before);
                quote(entry.getKey().toString(), text);
                text.append(':');
                write(entry.getValue(), text);
                before = ",";
            }
            text.append(before.equals("{") ? "{}" : "}");
        } else if (value instanceof Iterable) {
            String before = "[";
            for (Object item : (Iterable<?>) value) {
                text.append(before);
                write(item, text);
                before = ",";
            }
            text.append(before.equals("[") ? "[]" : "]");
        } else quote(value.toString(), text);
    }

    private static void quote(String value, StringBuilder text) {
        text.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') text.append('\\').append(c);
            else if (c < ' ' || c > '~') text.append(String.format("\\u%04x", (int) c));
            else text.append(c);
        }
        text.append('"');
    }
}
