package fijibridge.verbs;

import ij.plugin.frame.Recorder;
import java.awt.GraphicsEnvironment;

/** ImageJ's recorder: the line of a call of a verb. */
public final class MacroRecorder {
    private MacroRecorder() {}

    /** Tells whether the recorder is open. IJ.recording() tells the same, but ImageJ 1.54f and older do not have it. */
    public static boolean isOn() {
        return !GraphicsEnvironment.isHeadless() && Recorder.record;  // the class cannot be loaded without windows
    }

    /**
     * Tells whether calls are recorded.
     *
     * @param person true if a person made the call; others are recorded only if the user enabled it
     */
    public static boolean isOnFor(boolean person) {
        return isOn() && (person || Recorder.recordInMacros);
    }

    /** Records a call in the language that the recorder writes. */
    public static void record(String command, String options) {
        Recorder.recordString(line(command, options, Recorder.scriptMode()));
    }

    /** Records a comment in place of a call that cannot be written. */
    public static void recordComment(String text) {
        Recorder.recordString("// " + text + "\n");
    }

    /** Returns a call as a line of a macro, or of a script. */
    public static String line(String command, String options, boolean inScript) {
        String call = "\"" + command + "\"";
        if (!options.isEmpty() || inScript) call += ", \"" + Recorder.fixString(options) + "\"";
        return (inScript ? "IJ.run(" : "run(") + call + ");\n";
    }

    /** Prevents ImageJ from recording a command when it ends, because the call has been recorded already. */
    public static void stop(String command) {
        if (isOn() && command.equals(Recorder.getCommand())) Recorder.disableCommandRecording();
    }
}
