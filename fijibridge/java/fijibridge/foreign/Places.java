package fijibridge.foreign;

import fijibridge.Pushes;
import ij.IJ;
import ij.ImagePlus;
import ij.gui.YesNoCancelDialog;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Chooses the title of each image that a call shows. An open image with unsaved changes, or one not created by a verb,
 * is never replaced without asking. A title that another call has chosen but not yet shown is not free.
 */
final class Places implements AutoCloseable {
    /** Property of images created by a verb, which the next result with the same name replaces. It is not saved. */
    static final String RESULT = "fijibridge.result";

    private static final Set<String> CHOSEN = new HashSet<>();

    private final Collection<ImagePlus> inputs;
    private final Caller caller;
    private final Map<String, String> known = new HashMap<>();
    boolean overwrite;

    Places(Collection<ImagePlus> inputs, boolean overwrite, Caller caller) {
        this.inputs = inputs;
        this.overwrite = overwrite;
        this.caller = caller;
    }

    @Override
    public void close() {
        synchronized (CHOSEN) {
            CHOSEN.removeAll(known.values());
        }
    }

    String find(String name) {
        if (!known.containsKey(name)) {
            boolean replace = mayReplace(name);
            synchronized (CHOSEN) {
                String title = replace && CHOSEN.add(name) ? name : free(name);
                known.put(name, title);
                if (!title.equals(name) && !replace && overwriteWouldReplace(name))
                    IJ.log("FijiBridge: '" + name + "' was changed and is not saved: the result is '" + title
                        + "' (overwrite=true replaces it)");
            }
        }
        return known.get(name);
    }

    /** Tells whether a result may have a title: it is free, or its image may be replaced. */
    private boolean mayReplace(String name) {
        List<ImagePlus> there = Inputs.titled(name);
        if (there.isEmpty()) return true;
        if (there.size() > 1 || !(isResult(there.get(0)) || (overwrite && !isInput(there.get(0))))) return false;
        if (overwrite || !Pushes.unsaved(there.get(0))) return true;
        if (caller.kind != Caller.Kind.PERSON || !Caller.interactive()) return false;
        Boolean answer = ask(name);
        if (answer == null) throw new Cancelled();
        overwrite = overwrite || answer;
        return answer;
    }

    /** Tells whether a result gets another title only because an image has unsaved changes, and nobody was asked. */
    private boolean overwriteWouldReplace(String name) {
        List<ImagePlus> there = Inputs.titled(name);
        boolean asked = caller.kind == Caller.Kind.PERSON && Caller.interactive();
        return !asked && there.size() == 1 && isResult(there.get(0)) && Pushes.unsaved(there.get(0));
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
            List<ImagePlus> there = Inputs.titled(title);
            boolean mayGo = there.size() == 1 && isResult(there.get(0)) && !Pushes.unsaved(there.get(0));
            if ((there.isEmpty() || mayGo) && CHOSEN.add(title)) return title;
        }
    }

    /** Returns the title, with -1, -2 ... appended if an image that was not created by a verb has it. */
    static String beside(String title) {
        String free = title;
        for (int count = 1; ; count++) {
            boolean taken = false;
            for (ImagePlus imp : Inputs.titled(free)) taken = taken || !isResult(imp);
            if (!taken) return free;
            free = title + "-" + count;
        }
    }

    /** Asks whether an image with unsaved changes may be replaced; null if the user cancels. */
    private static Boolean ask(String title) {
        String text = "'" + title + "' was changed and is not saved.\nReplace it with the new result (Edit > Undo "
            + "restores a single plane),\nor keep it, and open the result in a new window?";
        return Caller.plainly(() -> {
            YesNoCancelDialog dialog =
                new YesNoCancelDialog(IJ.getInstance(), "FijiBridge", text, " Replace ", " Keep Both ");
            return dialog.cancelPressed() ? null : dialog.yesPressed();
        });
    }
}
