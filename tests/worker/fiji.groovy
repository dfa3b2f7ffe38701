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
    final Object engines

    Scripts(Object engines) {
        this.engines = engines
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
        return quietly { context.service(ThreadService).run({ engines."${language}"(code) } as Callable).get() }
    }

    private static Object quietly(Closure work) {
        try { return work() } catch (ExecutionException error) { throw error.cause }
    }

    /** The dialogs that are open, and can be closed. */
    List<java.awt.Dialog> dialogs() { engines.dialogs() }

    /** Does something, closes each dialog that opens meanwhile, and returns [result, what the dialogs said, by title]. */
    List watching(Closure work) {
        def watcher = engines.watch()
        try { return [work(), watcher.told] } finally { watcher.stop() }
    }
}

def beside = new File(getClass().protectionDomain.codeSource.location.toURI()).parentFile
new Scripts(new GroovyShell(getClass().classLoader).evaluate(new File(beside.parentFile, 'engines.groovy')))
