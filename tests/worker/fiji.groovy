/*
 * What Fiji does with scripts, for tests: SciJava with Groovy, and the commands that imagej-legacy makes of scripts.
 *
 * Returns an object with menu(folder), which puts the scripts of a folder into the menu, script(path, values), which runs
 * one by SciJava with values of its inputs, speak(language, code), which runs code as the script editor does, and
 * watching(work), which closes dialogs meanwhile.
 */
import net.imagej.patcher.LegacyInjector
import org.codehaus.groovy.jsr223.GroovyScriptEngineImpl
import org.scijava.Context
import org.scijava.console.ConsoleService
import org.scijava.module.ModuleService
import org.scijava.object.ObjectService
import org.scijava.run.RunService
import org.scijava.script.AbstractScriptLanguage
import org.scijava.script.ScriptFinder
import org.scijava.script.ScriptInfo
import org.scijava.script.ScriptService
import org.scijava.startup.StartupService
import org.scijava.thread.ThreadService
import java.util.concurrent.Callable
import java.util.concurrent.ExecutionException
import javax.script.ScriptEngine

/** As far as SciJava must know it to run scripts; Fiji has its own. */
class GroovyScripts extends AbstractScriptLanguage {
    @Override
    List<String> getExtensions() { ['groovy'] }

    @Override
    ScriptEngine getScriptEngine() { new GroovyScriptEngineImpl() }
}

/** What imagej-legacy does, in its words: DefaultLegacyHooks and LegacyService. */
class Hooks extends net.imagej.patcher.LegacyHooks {
    final Map<String, ScriptInfo> legacyCompatible = [:]
    Context context

    @Override
    Object interceptRunPlugIn(String className, String arg) { runLegacyCompatibleCommand(className) }

    Object runLegacyCompatibleCommand(String key) {
        def info = legacyCompatible[key]
        if (info == null) return null
        try {
            def future = context.service(ModuleService).run(info, true)
            return future == null ? null : future.get()
        } catch (Exception e) {
            if (e instanceof RuntimeException) throw (RuntimeException) e
            throw new RuntimeException(e)
        }
    }

    @Override
    Iterable<Thread> getThreadAncestors() {
        def threads = context.service(ThreadService), found = []
        for (def next = threads.getParent(Thread.currentThread()); next != null && !(next in found); next = threads.getParent(next))
            found << next
        return found
    }
}

class Scripts {
    final Context context = new Context(ScriptService, ObjectService, ThreadService, ConsoleService, RunService, StartupService)
    final Hooks hooks = new Hooks(context: context)

    Scripts() {
        ScriptService service = context.service(ScriptService)
        service.addAlias(Class.forName('ij.ImagePlus'))
        service.getIndex().add(new GroovyScripts(), true)
        LegacyInjector.installHooks(getClass().classLoader, hooks)
    }

    /** Puts the scripts of a folder into the menu, and returns their places there. */
    List<String> menu(String folder) {
        List<ScriptInfo> found = []
        context.service(ScriptService).addScriptDirectory(new File(folder))
        new ScriptFinder(context, null).findScripts(found)
        if (ij.Menus.getCommands() == null) ij.IJ.run('Close All')
        found.each { info ->
            hooks.legacyCompatible[info.getIdentifier()] = info
            ij.Menus.getCommands().put(info.menuPath.leaf.name, info.getIdentifier())
        }
        return found*.menuPath*.getMenuString()
    }

    ScriptInfo info(String path) { new ScriptInfo(context, new File(path)) }

    /** Runs a script as SciJava does for code that gives it inputs. */
    Object script(String path, Map values) { quietly { context.service(ScriptService).run(info(path), true, values).get().getReturnValue() } }

    /** Runs code in a thread of SciJava's, as Fiji runs scripts. */
    Object speak(String language, String code) {
        return quietly { context.service(ThreadService).run({ "${language}"(code) } as Callable).get() }
    }

    private static Object quietly(Closure work) {
        try { return work() } catch (ExecutionException error) { throw error.cause }
    }

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
        interpreter.exec(code)
        return interpreter.get('result', Object)
    }

    /** Does something, closes each dialog that opens meanwhile, and returns [result, what the dialogs said, by title]. */
    static List watching(Closure work) {
        def told = [:], ended = false
        def watcher = Thread.start {
            while (!ended) {
                java.awt.Window.getWindows().findAll { it instanceof java.awt.Dialog && it.isVisible() }.each { dialog ->
                    Thread.sleep(100)
                    told[dialog.title] = dialog.components.findAll { it.class.simpleName == 'MultiLineLabel' }
                        .collect { (it.@lines as List).join('\n') }.join('\n')
                    java.awt.EventQueue.invokeAndWait { dialog.dispose() }
                }
                Thread.sleep(20)
            }
        }
        try { return [work(), told] } finally { ended = true; watcher.join() }
    }
}

new Scripts()
