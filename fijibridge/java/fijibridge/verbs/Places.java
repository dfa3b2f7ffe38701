package fijibridge.verbs;

import fijibridge.Cancelled;
import fijibridge.OpenImages;
import fijibridge.Pushes;
import ij.IJ;
import ij.ImagePlus;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * Chooses the title of each image that a call shows. An open image with unsaved changes, or one not created by a verb,
 * is never replaced without asking. A title that another call has chosen but not yet shown is not free.
 */
public final class Places implements AutoCloseable {
    /** Property of images created by a verb, which the next result with the same name replaces. It is not saved. */
    public static final String RESULT = "fijibridge.result";

    private static final Set<String> CHOSEN = new HashSet<>();

    private final Collection<ImagePlus> inputs;
    private final boolean overwrite;
    private final Function<String, Boolean> ask;
    private final Map<String, String> known = new HashMap<>();
    /** The open images that had a title when it was chosen. */
    private final Map<String, List<ImagePlus>> seen = new HashMap<>();
    private boolean agreed;

    /**
     * @param inputs images that the verb reads; of these, a result replaces only the result of a verb
     * @param overwrite replace any other image with the title of a result, no matter who created or changed it
     * @param ask asks the user whether the image with a title, which has unsaved changes, may be replaced, and returns
     *     null if the user cancels; null to keep such images without asking
     */
    public Places(Collection<ImagePlus> inputs, boolean overwrite, Function<String, Boolean> ask) {
        this.inputs = inputs;
        this.overwrite = overwrite;
        this.ask = ask;
    }

    @Override
    public void close() {
        synchronized (CHOSEN) {
            CHOSEN.removeAll(known.values());
        }
    }

    /** Tells whether unsaved changes are replaced; a recorded macro then needs the option overwrite. */
    public boolean replaces() {
        return overwrite || agreed;
    }

    /**
     * Returns the title for a result: its name, or the first of name-1, name-2 ... that is free. A title is chosen again
     * if another image has taken it meanwhile.
     *
     * @throws Cancelled if the user cancels
     */
    public String find(String name) {
        String chosen = known.get(name);
        if (chosen == null || !seen.get(chosen).containsAll(OpenImages.titled(chosen))) {
            boolean replace = mayReplace(name);
            String title;
            synchronized (CHOSEN) {
                CHOSEN.remove(chosen);
                title = replace && CHOSEN.add(name) ? name : free(name);
            }
            known.put(name, title);
            seen.put(title, OpenImages.titled(title));
            // outside of the lock, because ImageJ may open its log window
            if (!replace && ask == null && isUnsavedResult(name))
                IJ.log("FijiBridge: '" + name + "' was changed and is not saved: the result is '" + title
                    + "' (overwrite=true replaces it)");
        }
        return known.get(name);
    }

    /** Marks an image as a result, which the next one with its title may replace. */
    public static void mark(ImagePlus imp, String title) {
        imp.setProperty(RESULT, title);
    }

    /** Tells whether a result may have a title: it is free, or its image may be replaced. */
    private boolean mayReplace(String name) {
        List<ImagePlus> there = OpenImages.titled(name);
        if (there.isEmpty()) return true;
        if (there.size() > 1 || !(isResult(there.get(0)) || (overwrite && !isInput(there.get(0))))) return false;
        if (overwrite || !Pushes.unsaved(there.get(0))) return true;
        if (ask == null) return false;
        Boolean answer = ask.apply(name);
        if (answer == null) throw new Cancelled();
        agreed = agreed || answer;
        return answer;
    }

    private static boolean isUnsavedResult(String name) {
        List<ImagePlus> there = OpenImages.titled(name);
        return there.size() == 1 && isResult(there.get(0)) && Pushes.unsaved(there.get(0));
    }

    private static boolean isResult(ImagePlus imp) {
        return imp.getProperty(RESULT) != null;
    }

    private boolean isInput(ImagePlus imp) {
        for (ImagePlus input : inputs) if (input == imp) return true;
        return false;
    }

    /** Returns the first of name-1, name-2 ... that is free, or is the title of a result that may be replaced. */
    private static String free(String name) {
        for (int count = 1; ; count++) {
            String title = name + "-" + count;
            List<ImagePlus> there = OpenImages.titled(title);
            boolean mayGo = there.size() == 1 && isResult(there.get(0)) && !Pushes.unsaved(there.get(0));
            if ((there.isEmpty() || mayGo) && CHOSEN.add(title)) return title;
        }
    }

    /** Returns the title, with -1, -2 ... appended if an image that was not created by a verb has it. */
    public static String beside(String title) {
        String free = title;
        for (int count = 1; ; count++) {
            boolean taken = false;
            for (ImagePlus imp : OpenImages.titled(free)) taken = taken || !isResult(imp);
            if (!taken) return free;
            free = title + "-" + count;
        }
    }
}
