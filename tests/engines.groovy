/*
 * The languages that ImageJ's scripts are written in, by their own engines, for tests.
 *
 * Returns an object with a method for each language, which runs code and returns its value; speak(language, code), which
 * does it in a thread of Java's; watch(), which closes dialogs until it is told to stop; and what is printed.
 */
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask

class Engines {
    private List<PrintStream> before
    private final ByteArrayOutputStream written = new ByteArrayOutputStream(), complained = new ByteArrayOutputStream()

    Object macro(String code) { ij.IJ.runMacro(code) }

    Object groovy(String code) { new GroovyShell(getClass().classLoader).evaluate(code) }

    Object beanshell(String code) {
        def interpreter = new bsh.Interpreter()
        interpreter.setClassLoader(getClass().classLoader)
        return interpreter.eval(code)
    }

    Object javascript(String code) {
        def javascript = org.mozilla.javascript.Context.enter()
        try {
            javascript.setApplicationClassLoader(getClass().classLoader)
            def result = javascript.evaluateString(new org.mozilla.javascript.ImporterTopLevel(javascript), code, 'script', 1, null)
            return org.mozilla.javascript.Context.jsToJava(result, Object)
        } finally {
            org.mozilla.javascript.Context.exit()
        }
    }

    Object jython(String code) {
        def given = new Properties()
        given.setProperty('python.import.site', 'false')
        given.setProperty('python.cachedir.skip', 'true')
        org.python.util.PythonInterpreter.initialize(System.properties, given, [] as String[])
        def interpreter = new org.python.util.PythonInterpreter()
        interpreter.getSystemState().setClassLoader(getClass().classLoader)
        interpreter.exec(code)
        return interpreter.get('result', Object)
    }

    Object speak(String language, String code) {
        def task = new FutureTask({ "${language}"(code) })
        new Thread(task, 'a thread of Java').start()
        try { return task.get() } catch (ExecutionException error) { throw error.cause }
    }

    /** Closes each dialog that opens; stop() of what it returns ends that, and returns what they said, by title. */
    static Watcher watch() { new Watcher() }

    /** The dialogs that are open, and can be closed. */
    static List<java.awt.Dialog> dialogs() { Watcher.dialogs() }

    /** From now on what is printed is kept, until release(). */
    void capture() {
        before = [System.out, System.err]
        System.out = new PrintStream(written, true, 'UTF-8')
        System.err = new PrintStream(complained, true, 'UTF-8')
        printed()
        complaints()
    }

    void release() {
        System.out = before[0]
        System.err = before[1]
    }

    /** What was printed since this was asked last. */
    String printed() { taken(written) }

    /** And on the stream of errors. */
    String complaints() { taken(complained) }

    private static String taken(ByteArrayOutputStream bytes) {
        def text = bytes.toString('UTF-8')
        bytes.reset()
        return text
    }
}

class Watcher {
    /**
     * The dialogs that are open. None while one is about to wait for its end: Java loses that of a modal dialog which is
     * disposed after it became visible, and before its loop of events has begun.
     */
    static List<java.awt.Dialog> dialogs() {
        def open = java.awt.Window.getWindows().findAll { it instanceof java.awt.Dialog && it.isVisible() }
        def loops = Thread.allStackTraces.values().sum { frames ->
            frames.count { it.className == 'java.awt.WaitDispatchSupport' && it.methodName == 'enter' }
        }
        return loops < open.count { it.isModal() } ? [] : open as List
    }

    final Map<String, String> told = [:]
    private volatile boolean ended = false
    private final Thread watcher = Thread.start {
        while (!ended) {
            dialogs().each { dialog ->
                told[dialog.title] = dialog.components.findAll { it.class.simpleName == 'MultiLineLabel' }
                    .collect { (it.@lines as List).join('\n') }.join('\n')
                java.awt.EventQueue.invokeAndWait { dialog.dispose() }
            }
            Thread.sleep(20)
        }
    }

    Map<String, String> stop() {
        ended = true
        watcher.join()
        return told
    }
}

new Engines()
