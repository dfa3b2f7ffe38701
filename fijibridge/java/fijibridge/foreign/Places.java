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
 * The title of each image that a call shows. An open image that was changed, or that no verb made, is not replaced
 * unasked; a title that another call has chosen and not shown yet is taken.
 */
final class Places implements AutoCloseable {
    /** Property of the images that a verb made, which its next result of that name replaces. It is not saved. */
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

    /** Tells whether a result may have a title: it is free, or that of an image that may go. */
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

    /** Tells whether a result lies beside an image only because that one has unsaved work, and nobody was asked. */
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

    /** Returns the name with -1, -2 ... behind it: the first that is free, or that of a result that may be replaced. */
    private static String free(String name) {
        for (int count = 1; ; count++) {
            String title = name + "-" + count;
            List<ImagePlus> there = Inputs.titled(title);
            boolean mayGo = there.size() == 1 && isResult(there.get(0)) && !Pushes.unsaved(there.get(0));
            if ((there.isEmpty() || mayGo) && CHOSEN.add(title)) return title;
        }
    }

    /** Returns the title, with -1, -2 ... behind it while an image has it that no verb made. */
    static String beside(String title) {
        String free = title;
        for (int count = 1; ; count++) {
            boolean taken = false;
            for (ImagePlus imp : Inputs.titled(free)) taken = taken || !isResult(imp);
            if (!taken) return free;
            free = title + "-" + count;
        }
    }

    /** Asks whether an image that was changed may be replaced; null if the person cancels. */
    private static Boolean ask(String title) {
        String text = "'" + title + "' was changed and is not saved.\nReplace it by the new result (Edit > Undo brings "
            + "a single plane back),\nor keep it, and open the result beside it?";
        return Caller.plainly(() -> {
            YesNoCancelDialog dialog =
                new YesNoCancelDialog(IJ.getInstance(), "FijiBridge", text, " Replace ", " Keep Both ");
            return dialog.cancelPressed() ? null : dialog.yesPressed();
        });
    }
}
