package fijibridge;

import ij.ImagePlus;
import ij.WindowManager;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** The open images, by title, pattern or id. */
public final class OpenImages {
    private static final Pattern NOTHING = Pattern.compile("(?!)");

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
    public static ImagePlus withId(int id) {
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
    public static ImagePlus find(int id) {
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
        StringBuilder regex = new StringBuilder();
        for (int i = 0; i < glob.length(); i++) {
            char c = glob.charAt(i);
            int end = c == '[' ? endOfSet(glob, i) : -1;
            if (c == '*') regex.append(".*");
            else if (c == '?') regex.append('.');
            else if (end < 0) regex.append(Pattern.quote(String.valueOf(c)));
            else {
                boolean negated = glob.charAt(i + 1) == '!';
                String set = glob.substring(negated ? i + 2 : i + 1, end);
                regex.append(negated ? "[^" : "[").append(set.replaceAll("([\\\\\\[\\]&^])", "\\\\$1")).append(']');
                i = end;
            }
        }
        try {
            return Pattern.compile(regex.toString(), Pattern.DOTALL);
        } catch (PatternSyntaxException error) {  // a set such as [9-0], which no character is in
            return NOTHING;
        }
    }

    /** Returns the index of the ] that closes a [; -1 if there is none. A ] at the beginning belongs to the set. */
    private static int endOfSet(String glob, int begin) {
        int first = begin + 1;
        if (first < glob.length() && glob.charAt(first) == '!') first++;
        return glob.indexOf(']', first + 1);
    }
}
