package fijibridge;

import ij.ImagePlus;
import ij.WindowManager;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** The open images, by title, pattern or id. */
public final class OpenImages {
    private OpenImages() {}

    /** Returns the open images in the order in which they were opened. */
    public static List<ImagePlus> all() {
        List<ImagePlus> found = new ArrayList<>();
        int[] ids = WindowManager.getIDList();
        if (ids == null) return found;
        for (int id : ids) {
            ImagePlus imp = WindowManager.getImage(id);
            if (imp != null) found.add(imp);  // the user may have closed it meanwhile
        }
        return found;
    }

    /** Returns the open images with exactly this title. */
    public static List<ImagePlus> titled(String title) {
        List<ImagePlus> found = new ArrayList<>();
        for (ImagePlus imp : all()) if (imp.getTitle().equals(title)) found.add(imp);
        return found;
    }

    /** Returns the open images whose title matches a pattern with *, ? and [...]. */
    public static List<ImagePlus> matching(String pattern) {
        Pattern compiled = compiled(pattern);
        List<ImagePlus> found = new ArrayList<>();
        for (ImagePlus imp : all()) if (compiled.matcher(imp.getTitle()).matches()) found.add(imp);
        return found;
    }

    /** Returns the open image with an id; null if it was closed. */
    public static ImagePlus withId(long id) {
        for (ImagePlus imp : all()) if (imp.getID() == id) return imp;
        return null;
    }

    /**
     * Returns the one open image with a title or pattern.
     *
     * @throws UserError if no image or several images match
     */
    public static ImagePlus find(String title) {
        List<ImagePlus> found = titled(title);
        if (found.isEmpty()) found = matching(title);
        return only(found, "'" + title + "'");
    }

    /**
     * Returns the open image with an id.
     *
     * @throws UserError if there is none
     */
    public static ImagePlus find(long id) {
        ImagePlus imp = withId(id);
        return only(imp == null ? Collections.emptyList() : Collections.singletonList(imp), String.valueOf(id));
    }

    private static ImagePlus only(List<ImagePlus> found, String what) {
        if (found.size() == 1) return found.get(0);
        List<String> open = new ArrayList<>();
        if (found.isEmpty()) {
            for (ImagePlus imp : all()) open.add("'" + imp.getTitle() + "'");
            throw new UserError("no open image " + what + "; open images: [" + String.join(", ", open) + "]");
        }
        for (ImagePlus imp : found) open.add(imp.getID() + ": '" + imp.getTitle() + "'");
        throw new UserError(what + " matches " + found.size() + " open images: choose one by its id: {"
            + String.join(", ", open) + "}");
    }

    /** Returns the titles of the open images by id; the id as text for images that share a title. */
    public static Map<Integer, String> names() {
        Map<Integer, String> titles = new LinkedHashMap<>(), names = new LinkedHashMap<>();
        for (ImagePlus imp : all()) titles.put(imp.getID(), imp.getTitle());
        titles.forEach((id, title) ->
            names.put(id, Collections.frequency(titles.values(), title) == 1 ? title : String.valueOf(id)));
        return names;
    }

    /** Returns a pattern with *, ?, [...] and [!...] as a regular expression; a [ that is not closed is a character. */
    private static Pattern compiled(String glob) {
        int[] signs = glob.codePoints().toArray();  // a character beyond the BMP is two chars, but one sign
        StringBuilder regex = new StringBuilder();
        for (int i = 0; i < signs.length; i++) {
            int end = signs[i] == '[' ? endOfSet(signs, i) : -1;
            if (signs[i] == '*') regex.append(".*");
            else if (signs[i] == '?') regex.append('.');
            else if (end < 0) regex.append(literal(signs[i]));
            else {
                boolean negated = signs[i + 1] == '!';
                regex.append(set(signs, negated ? i + 2 : i + 1, end, negated));
                i = end;
            }
        }
        return Pattern.compile(regex.toString(), Pattern.DOTALL);
    }

    /** Returns the index of the ] that closes a [; -1 if there is none. A ] at the beginning belongs to the set. */
    private static int endOfSet(int[] signs, int begin) {
        int end = begin + 1;
        if (end < signs.length && signs[end] == '!') end++;
        for (end++; end < signs.length; end++) if (signs[end] == ']') return end;
        return -1;
    }

    /** Returns the characters and ranges between two indices as a set. A range such as z-a contains no character. */
    private static String set(int[] signs, int begin, int end, boolean negated) {
        StringBuilder members = new StringBuilder();
        for (int i = begin; i < end; i++) {
            boolean range = i + 2 < end && signs[i + 1] == '-';
            if (!range) members.append(literal(signs[i]));
            else if (signs[i] <= signs[i + 2]) members.append(literal(signs[i])).append('-').append(literal(signs[i + 2]));
            if (range) i += 2;
        }
        if (members.length() == 0) return negated ? "." : "(?!)";
        return (negated ? "[^" : "[") + members + "]";
    }

    private static String literal(int sign) {
        return String.format("\\x{%x}", sign);
    }
}
