/*
 * What the scripts in Fiji's menu share: one Python process for all of them, and what crosses to it and back.
 *
 * The scripts load this file from the environment that they were installed from, once for each Fiji: see call().
 * Images, ROIs and tables cross in shared memory, which both sides free; the rest is Appose's protocol, of which
 * fijibridge/worker/process.py is the other end.
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import groovy.transform.CompileStatic
import ij.CompositeImage
import ij.IJ
import ij.ImagePlus
import ij.ImageStack
import ij.Macro
import ij.Prefs
import ij.Undo
import ij.WindowManager
import ij.gui.GenericDialog
import ij.gui.ImageRoi
import ij.gui.Overlay
import ij.gui.Plot
import ij.gui.Roi
import ij.gui.YesNoCancelDialog
import ij.io.RoiDecoder
import ij.io.RoiEncoder
import ij.macro.Interpreter
import ij.measure.Calibration
import ij.measure.Measurements
import ij.measure.ResultsTable
import ij.plugin.filter.Analyzer
import ij.plugin.frame.Recorder
import ij.plugin.frame.RoiManager
import ij.process.ColorProcessor
import ij.process.LUT
import ij.text.TextWindow
import org.apposed.appose.NDArray
import org.apposed.appose.Service
import org.apposed.appose.SharedMemory

import java.awt.Color
import java.awt.EventQueue
import java.awt.GraphicsEnvironment
import java.awt.event.FocusListener
import java.awt.event.MouseAdapter
import java.awt.event.MouseEvent
import java.lang.ref.SoftReference
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import java.util.concurrent.Callable
import java.util.concurrent.CountDownLatch
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import java.util.function.Function
import java.util.stream.IntStream
import java.util.zip.CRC32

import javax.script.ScriptContext
import javax.script.ScriptException
import javax.script.SimpleScriptContext

/** A call that was cancelled: by Escape, or by a macro that ends. */
class Stopped extends RuntimeException {
    Stopped(String message) { super(message) }
}

/** What is to be told to a person as it stands. */
class Told extends RuntimeException {
    Told(String message) { super(message) }
}

/** A process that ended before it began what it was asked for. */
class Gone extends Told {
    Gone(String message) { super(message) }
}

// --- errors that end who called ---------------------------------------------------------------------

/**
 * Ends the SciJava module of a script. SciJava catches and logs what a script throws; but it asks a ScriptException for
 * its cause there, and what is thrown by that leaves the module.
 */
class Ending extends ScriptException {
    private final Refused refused

    Ending(Refused refused) {
        super(refused.getMessage())
        this.refused = refused
    }

    @Override
    synchronized Throwable getCause() {
        if (Hidden.calledBy('org.scijava.script.ScriptModule')) throw refused
        return null
    }
}

/** The error of a module. It is no RuntimeException, which SciJava would wrap into one that does not say why. */
class Refused extends Exception {
    private final Thread caller

    /**
     * @param caller thread of a script that called by IJ.run; null for code that waits for the module itself
     */
    Refused(String message, Thread caller) {
        super(message, null, false, false)
        this.caller = caller
    }

    /** The text; in the thread of the script, which asks when it wraps this, an exception that ImageJ lets through. */
    @Override
    String toString() {
        if (caller != null && Thread.currentThread().is(caller)) throw new Carried(getMessage())
        return getMessage()
    }
}

/** Reaches a script that called by IJ.run: ImageJ's Executer catches what a command throws, and asks for its message. */
class Carried extends RuntimeException {
    private final String text

    Carried(String text) {
        super(text)
        this.text = text
    }

    @Override
    String getMessage() {
        if (!Hidden.calledBy('ij.Executer')) return text
        // what IJ.run does at its end, which is not reached
        Macro.setOptions(null)
        Hidden.field(IJ, 'macroRunning').setBoolean(null, false)
        ImagePlus own = WindowManager.getTempCurrentImage()
        if (own != null && WindowManager.getImage(own.getID()) == null) WindowManager.setTempCurrentImage(null)
        throw new RuntimeException(text)
    }
}

/** What ImageJ does not show. */
class Hidden {
    /** Classes by which Java and Groovy call others. */
    static final String RUNTIME = /(java|jdk|sun|groovy|org\.codehaus\.groovy|org\.apache\.groovy)\..*/

    static java.lang.reflect.Field field(Class type, String name) {
        def field = type.getDeclaredField(name)
        field.setAccessible(true)
        return field
    }

    /** Whether the method that asks was called by one of a class. */
    static boolean calledBy(String name) {
        // classes of this file are in no package
        def frames = new Throwable().getStackTrace().findAll { it.className =~ /\./ }
        return frames.find { !(it.className ==~ RUNTIME) }?.className == name
    }
}

/** Who called a verb, and what they gave. */
class Caller {
    static final String PERSON = 'person', MACRO = 'macro', SCRIPT = 'script', MODULE = 'module'

    /** PERSON in the menu, MACRO by run, SCRIPT by IJ.run, MODULE by SciJava's services or its command line. */
    final String kind
    /** Options of a macro or a script; null without. */
    final String options
    /** Values that SciJava was given, by name. */
    final Map<String, Object> inputs
    /** The macro that waits, as far as ImageJ knows it. */
    final Interpreter macro
    /** The module of SciJava that the script is; null without. */
    final Object module
    /** Threads that wait for this one, the nearest first. */
    private final List<Thread> waiting = []

    Caller(Object module, List<String> names, Map<String, Object> values = [:]) {
        this.module = module
        def threads = module?.context()?.getService('org.scijava.thread.ThreadService')
        Thread next = threads?.getParent(Thread.currentThread())
        while (next != null && !(next in waiting)) {
            waiting << next
            next = threads.getParent(next)
        }
        inputs = names.findAll { module?.isInputResolved(it) && module.getInput(it) != null }.collectEntries { [it, module.getInput(it)] } + values
        kind = inputs ? MODULE : kindOf(waiting[0])
        macro = kind == MACRO ? Interpreter.getInstance() : null
        // those of this thread's own caller: Fiji's Macro.getOptions() goes on to who called that one
        options = kind in [MACRO, SCRIPT] ? (String) Hidden.field(Macro, 'table').get(null).get(waiting[0]) : null
    }

    private static String kindOf(Thread caller) {
        List<StackTraceElement> frames = caller?.getStackTrace() ?: []
        int call = frames.findIndexOf { it.methodName == 'runLegacyCompatibleCommand' }
        // if it runs anything else meanwhile, it is something else that waits for this
        boolean waits = call >= 0 && frames.take(call).every { it.className ==~ Hidden.RUNTIME }
        int run = waits ? frames.findIndexOf(call) { it.className == 'ij.IJ' && it.methodName == 'run' } : -1
        if (run < 0) return interactive() ? PERSON : MODULE
        return frames.drop(run).find { it.className != 'ij.IJ' }?.className?.startsWith('ij.macro.') ? MACRO : SCRIPT
    }

    static boolean interactive() { !GraphicsEnvironment.isHeadless() && IJ.getInstance() != null }

    /** Whether there is nothing to go by but what a person says. */
    boolean asks() { options == null && !inputs && kind != MODULE && interactive() }

    /** What the macro's variables hold that options name as &name. */
    Map<String, String> variables() {
        Map<String, String> found = [:]
        (options =~ /&([A-Za-z_]\w*)/).each { all, name ->
            String held = macro?.getVariableAsString(name)
            if (held != null) found[name] = held
        }
        return found
    }

    /** The image that is active for who called, whose thread may have one of its own. */
    ImagePlus image() {
        ImagePlus own = waiting ? (ImagePlus) Hidden.field(WindowManager, 'tempImageTable').get(null).get(waiting[0]) : null
        return own?.getProcessor() == null ? WindowManager.getCurrentImage() : own
    }

    /** Lets this thread have the same active image: SciJava's keep that of what they ran last, closed or not. */
    void enter() {
        if (!waiting) return
        WindowManager.setTempCurrentImage(null)
        WindowManager.setTempCurrentImage(image())
    }

    void leave() {
        if (waiting) WindowManager.setTempCurrentImage(null)
    }

    /** Makes an image the active one, in the threads of who called too. */
    void activate(ImagePlus imp) {
        if (imp == null || imp.getProcessor() == null) return
        boolean batch = Interpreter.isBatchMode()
        if (batch) Interpreter.activateImage(imp)
        else if (imp.getWindow() != null) {
            imp.getWindow().toFront()
            WindowManager.setCurrentWindow(imp.getWindow())
        }
        // without windows the last one is active: what a thread holds would outlive the image
        ImagePlus held = batch && interactive() ? imp : null
        [Thread.currentThread(), *waiting].each { WindowManager.setTempCurrentImage(it, held) }
    }

    /** Ends who called, or tells the person; quietly if that was asked for. */
    void end(String command, String message, boolean quietly) {
        switch (kind) {
            case PERSON:
                if (!quietly) plainly { IJ.showMessage(command, Form.wrapped(message)) }
                return
            case MACRO:
                if (macro == null && !quietly) plainly { IJ.showMessage('Macro Error', message) }
                if (macro != null) {
                    stop(interactive() ? Form.wrapped(message) : message, quietly)
                    return
                }
                throw ending(Macro.MACRO_CANCELED)
            default:
                if (kind == MODULE) endProcess(message)
                throw ending(quietly && kind == SCRIPT ? Macro.MACRO_CANCELED : message)
        }
    }

    /** Ends a Fiji without windows whose command line runs the script: it would go on, and end as if all were well. */
    private void endProcess(String message) {
        boolean commandLine = waiting.size() == 1 &&
            waiting[0].getStackTrace().any { it.className == 'org.scijava.run.console.RunArgument' }
        if (interactive() || !commandLine) return
        System.err.println(message)
        Thread.startDaemon('FijiBridge-End') { System.exit(1) }.join(200)
    }

    private Exception ending(String message) {
        Refused refused = new Refused(message, kind == MODULE ? null : waiting[0])
        return module == null ? new RuntimeException(message) : new Ending(refused)
    }

    /** Ends a macro, by its own error if there is something to tell; without windows ImageJ would forget all images then. */
    private void stop(String message, boolean quietly) {
        def kept = interactive() ? [:] : ['imageTable', 'imageActivations'].collectEntries { [it, Hidden.field(Interpreter, it).get(null)] }
        if (!quietly) plainly {
            try { macro.abort(message) } catch (RuntimeException ended) { }
        }
        Hidden.field(Interpreter, 'ignoreErrors').setBoolean(macro, true)
        Hidden.field(Interpreter, 'done').setBoolean(macro, true)
        kept.each { name, value -> Hidden.field(Interpreter, name).set(null, value) }
    }

    /** Does something in a thread of its own: in SciJava's ImageJ finds the options of a macro, and opens no dialog. */
    static Object plainly(Closure work) {
        Object found = null
        Throwable thrown = null
        Thread thread = Thread.start('FijiBridge-Dialog') {
            Thread here = Thread.currentThread()
            if (here.getContextClassLoader() == null) here.setContextClassLoader(IJ.getClassLoader())
            try { found = work() } catch (Throwable error) { thrown = error }
        }
        thread.join()
        if (thrown != null) throw thrown
        return found
    }
}

/** The dialog of a verb, as fijibridge/fiji/menu/dialog.py makes it, with the same memory. */
class Form {
    static final String NEVER = '\0', NONE = 'none', MANAGER = 'ROI Manager', OVERLAY = 'overlay'
    static final int WIDE = 40, NARROW = 8, LINE = 84, MANY = 9, HELP_LINES = 3
    static final String HINT = 'Click a field to see its help here.'
    static final List<String> INPUTS = ['image', 'cells'], PATHS = ['file', 'folder', 'new folder'], NUMBERS = ['integer', 'number']

    private final Map verb
    private final GenericDialog dialog
    private final Map<Map, Object> fields = [:]

    static String key(Map verb, Map parameter) { "fijibridge.${verb.name}.${parameter.name}" }

    /** The text of each field: what was chosen last, else the default, and images that are open. */
    static Map<String, String> offered(Map verb, ImagePlus active) {
        List<String> free = titles().values().toList()
        String first = active == null ? null : titles()[active.getID()]
        if (free.remove(first)) free.add(0, first)
        Map<String, String> texts = [:]
        verb.parameters.sort(false) { it.kind == 'image' ? 0 : 1 }.each { parameter ->
            String last = Prefs.get(key(verb, parameter), NEVER)
            boolean known = last != NEVER && (parameter.kind != 'choice' || last in parameter.choices)
            texts[parameter.name] = parameter.kind in INPUTS ? offeredImage(parameter, last, free) : known ? last : parameter.usual ?: ''
        }
        return texts
    }

    private static String offeredImage(Map parameter, String last, List<String> free) {
        List<String> choices = choices(parameter)
        if (parameter.optional) return last in choices ? last : NONE
        boolean cells = parameter.kind == 'cells'
        List<String> likely = cells ? namedAsCells(parameter, free) : []
        String chosen = cells && last in choices ? last : (likely + free + choices + [''])[0]
        free.remove(chosen)
        return chosen
    }

    /** Titles that say of themselves that they are label images, the likeliest first. */
    private static List<String> namedAsCells(Map parameter, List<String> titles) {
        List<String> words = parameter.name.startsWith('true') ? ['truth', '_gt', 'label', 'cells'] : ['cells', 'label', 'seg']
        Closure rank = { String title -> words.findIndexOf { title.toLowerCase().contains(it) } }
        return titles.findAll { rank(it) >= 0 }.sort(false) { rank(it) }
    }

    static void remember(Map verb, Map<String, String> texts) {
        verb.parameters.each { parameter ->
            String text = texts[parameter.name]
            Prefs.set(key(verb, parameter), text == parameter.usual || parameter.kind == 'image' ? null : text)
        }
        Prefs.savePreferences()
    }

    /** Titles by id, of images that share one their ids. */
    static Map<Integer, String> titles() {
        Map<Integer, String> titles = Bridge.openImages().collectEntries { [it.getID(), it.getTitle()] }
        return titles.collectEntries { id, title -> [id, titles.values().count(title) == 1 ? title : String.valueOf(id)] }
    }

    private static List<String> choices(Map parameter) {
        List<String> found = parameter.kind in INPUTS ? titles().values().toList() : parameter.choices
        if (parameter.kind == 'cells') {
            RoiManager manager = RoiManager.getInstance2()
            found = found + (manager != null && manager.getCount() > 0 ? [MANAGER, OVERLAY] : [OVERLAY, MANAGER])
        }
        return parameter.optional ? [NONE, *found] : found
    }

    /** Asks a person, and returns the text of each field; null if they want none of it. */
    static Map<String, String> ask(Map verb, Map<String, String> texts) {
        return (Map<String, String>) Caller.plainly {
            Form form = new Form(verb, texts)
            form.dialog.showDialog()
            form.dialog.wasCanceled() ? null : form.texts()
        }
    }

    private Form(Map verb, Map<String, String> texts) {
        this.verb = verb
        dialog = new GenericDialog(verb.command - ~/\.\.\.$/)
        dialog.addMessage(wrapped((String) verb.summary))
        int narrow = verb.parameters.count { !it.wide }
        boolean beside = false
        verb.parameters.each { parameter ->
            boolean small = narrow >= MANY && !parameter.wide
            if (small && beside) dialog.addToSameRow()
            beside = small && !beside
            fields[parameter] = add(parameter, texts[parameter.name])
        }
        // as wide as what will be told there: a label is measured when the dialog opens
        dialog.addMessage(([HINT.padRight(LINE + LINE.intdiv(3))] + [' '] * (HELP_LINES - 1)).join('\n'))
        def told = dialog.getMessage()
        FocusListener listener = [focusLost: { }, focusGained: { event ->
            Map parameter = fields.find { it.value.is(event.getComponent()) }?.key
            List<String> lines = parameter == null ? [HINT] : wrapped("${parameter.title}: ${parameter.told}").split('\n').take(HELP_LINES).toList()
            told.setText((lines + [' '] * (HELP_LINES - lines.size())).join('\n'))
        }] as FocusListener
        fields.values().each { it.addFocusListener(listener) }
        dialog.addHelp((String) verb.help)
    }

    private Object add(Map parameter, String text) {
        String label = parameter.title
        if (parameter.unit && parameter.kind == 'text') label += " (${parameter.unit})"
        if (parameter.kind == 'flag') {
            dialog.addCheckbox(label, text == 'true')
            return dialog.getCheckboxes().lastElement()
        }
        label += ':'
        if (parameter.kind == 'choice' || parameter.kind in INPUTS) {
            List<String> choices = choices(parameter)
            dialog.addChoice(label, (choices ?: ['']) as String[], text in choices ? text : null)
            return dialog.getChoices().lastElement()
        }
        if (parameter.kind in NUMBERS) dialog.addNumericField(label, Double.NaN, 0, NARROW, (String) parameter.unit)
        else if (parameter.kind == 'file') dialog.addFileField(label, '', WIDE)
        else if (parameter.kind in PATHS) dialog.addDirectoryField(label, '', WIDE)
        else dialog.addStringField(label, '', parameter.wide ? WIDE : NARROW)
        def field = (parameter.kind in NUMBERS ? dialog.getNumericFields() : dialog.getStringFields()).lastElement()
        field.setText(text)
        return field
    }

    private Map<String, String> texts() {
        return fields.collectEntries { parameter, field ->
            String text
            if (parameter.kind == 'flag') text = field.getState() ? 'true' : 'false'
            else if (parameter.kind == 'choice' || parameter.kind in INPUTS) {
                text = field.getSelectedItem() ?: ''
                if (parameter.optional && text == NONE) text = ''
            } else text = field.getText().trim()
            [parameter.name, text]
        }
    }

    /** A message in lines that fit a dialog. */
    static String wrapped(String text) {
        return text.split('\n', -1).collect { part ->
            List<String> lines = ['']
            part.split(/\s+/).each { word ->
                if (lines[-1] && lines[-1].length() + 1 + word.length() > LINE) lines << word
                else lines[-1] = lines[-1] ? "${lines[-1]} ${word}".toString() : word
            }
            lines.join('\n') ?: ' '
        }.join('\n')
    }
}

/** The Python that started this Fiji, if it has our package in the version of the script: it does the work itself then. */
class Here {
    /** What scyjava's runner of scripts reads. */
    static class Asked {
        public final String script = "__import__('fijibridge.fiji.session.python_mode', fromlist=['perform_here']).perform_here(asked)"
        public final Map<String, Object> vars
        public final ScriptContext scriptContext = new SimpleScriptContext()

        Asked(Map<String, Object> vars) {
            this.vars = vars
            scriptContext.setErrorWriter(new StringWriter())  // that there is no such package is no error
        }
    }

    private final Function runner

    private Here(Function runner) { this.runner = runner }

    static Here find(Object module, String version) {
        def objects = module?.context()?.getService('org.scijava.object.ObjectService')
        Function runner = objects?.getObjects(Function)?.find { objects.getName(it) == 'PythonScriptRunner' }
        Here here = runner == null ? null : new Here(runner)
        return here?.ask([what: 'hello'])?.version == version ? here : null
    }

    /** What fijibridge.fiji.session.python_mode.perform_here answers; null if there is none. */
    Map ask(Map request) {
        Object told = runner.apply(new Asked([asked: JsonOutput.toJson(request)]))
        if (told == null) return null
        Map answer = (Map) new JsonSlurper().parseText(told.toString())
        if (answer.cancelled) throw new Stopped('cancelled')
        if (answer.error != null) throw new Told((String) answer.error)
        return (Map) answer.done
    }
}

/** Pixels and other numbers, between Java's arrays and shared memory. */
@CompileStatic
class Memory {
    /** Bytes of a block: Java's buffers end at 2 GiB. */
    static final long LARGEST = 1L << 30

    static final Map<String, Integer> WIDTHS = [uint8: 1, uint16: 2, float32: 4, uint32: 4]

    /** Where Linux keeps shared memory, a file system of its own: to write beyond its end would end the process. */
    static final File PLACE = new File('/dev/shm')

    /** Copies the planes of a stack into new blocks, which are added to those that are to be freed. */
    static List<NDArray> send(ImagePlus imp, String type, List<NDArray> sent) {
        int width = imp.getWidth(), height = imp.getHeight(), planes = imp.getStackSize()
        long plane = (long) width * height * WIDTHS[type]
        if (plane > Integer.MAX_VALUE)
            throw new Told("a plane of ${width} x ${height} has more than 2 GiB: take a part of the image")
        long needed = plane * planes
        if (PLACE.isDirectory() && PLACE.getUsableSpace() < needed)
            throw new Told("'${imp.getTitle()}' has ${needed >> 20} MiB, and ${PLACE} has ${PLACE.getUsableSpace() >> 20} " +
                'MiB free: make it larger (of a container: --shm-size), or take a part of the image')
        ImageStack stack = imp.getStack()
        boolean virtual = stack.isVirtual()
        // a single image's stack may hold an older array than its processor
        Object alone = planes == 1 && !virtual ? imp.getProcessor().getPixels() : null
        int several = (int) Math.max(1L, LARGEST.intdiv(plane).longValue())
        List<NDArray> blocks = []
        for (int first = 0; first < planes; first += several) {
            int begin = first, count = Math.min(several, planes - first)
            NDArray block = new NDArray(NDArray.DType.fromLabel(type),
                new NDArray.Shape(NDArray.Shape.Order.C_ORDER, count, height, width))
            sent.add(block)
            blocks.add(block)
            IntStream range = IntStream.range(0, count)
            File file = new File(PLACE, block.shm().name())
            FileChannel channel = file.isFile() ? new RandomAccessFile(file, 'rw').getChannel() : null
            ByteBuffer all = channel == null ? block.buffer() : null
            try {
                (virtual ? range : range.parallel()).forEach { int i ->
                    Object pixels = alone ?: stack.getPixels(begin + i + 1)
                    if (pixels == null) throw new Told("'${imp.getTitle()}' was closed while it was read")
                    if (channel == null) put(part(all, i * plane, plane), pixels, 0, width * height)
                    else write(channel, i * plane, pixels, width * height, WIDTHS[type])
                }
            } finally {
                channel?.close()
            }
        }
        return blocks
    }

    /** Writes pixels into the file that a block is on Linux, which spares a page fault for each of its pages. */
    static void write(FileChannel to, long at, Object pixels, int size, int width) {
        ByteBuffer some = ByteBuffer.allocateDirect(1 << 18).order(ByteOrder.nativeOrder())
        int several = some.capacity().intdiv(width)
        for (int first = 0; first < size; first += several) {
            int count = Math.min(several, size - first)
            some.clear()
            put(some, pixels, first, count)
            some.position(0)
            some.limit(count * width)
            while (some.hasRemaining()) to.write(some, at + (long) first * width + some.position())
        }
    }

    static ByteBuffer part(ByteBuffer all, long from, long size) {
        ByteBuffer one = all.duplicate()
        one.limit((int) (from + size))
        one.position((int) from)
        return one.slice().order(ByteOrder.nativeOrder())
    }

    static void put(ByteBuffer to, Object pixels, int first, int count) {
        if (pixels instanceof byte[]) to.put((byte[]) pixels, first, count)
        else if (pixels instanceof short[]) to.asShortBuffer().put((short[]) pixels, first, count)
        else if (pixels instanceof float[]) to.asFloatBuffer().put((float[]) pixels, first, count)
        else to.asIntBuffer().put((int[]) pixels, first, count)
    }

    /** Copies the planes of all blocks into new arrays. */
    static List<Object> planes(List<NDArray> blocks, int size) {
        List<ByteBuffer> parts = []
        String type = blocks[0].dType().label()
        long plane = (long) size * blocks[0].dType().bytesPerElement()
        for (NDArray block : blocks) {
            ByteBuffer buffer = block.buffer()
            for (int i = 0; i < block.shape().get(0); i++) parts.add(part(buffer, i * plane, plane))
        }
        Object[] found = new Object[parts.size()]
        IntStream.range(0, found.length).parallel().forEach { int i -> found[i] = get(parts[i], type, size) }
        return Arrays.asList(found)
    }

    static Object get(ByteBuffer from, String type, int size) {
        if (type == 'uint8') {
            byte[] bytes = new byte[size]
            from.get(bytes)
            return bytes
        }
        if (type == 'uint16') {
            short[] shorts = new short[size]
            from.asShortBuffer().get(shorts)
            return shorts
        }
        if (type == 'float32') {
            float[] floats = new float[size]
            from.asFloatBuffer().get(floats)
            return floats
        }
        return ints(from, size)
    }

    static int[] ints(ByteBuffer from, int size) {
        int[] ints = new int[size]
        from.asIntBuffer().get(ints)
        return ints
    }

    static byte[] bytes(NDArray block) {
        if (block == null) return new byte[0]
        byte[] all = new byte[block.shape().get(0)]
        block.buffer().get(all)
        return all
    }

    static int[] ints(NDArray block) {
        return block == null ? new int[0] : ints(block.buffer().order(ByteOrder.nativeOrder()), block.shape().get(0))
    }

    /** Row by row. */
    static double[][] doubles(NDArray block) {
        if (block == null) return new double[0][0]
        double[][] rows = new double[block.shape().get(0)][block.shape().get(1)]
        def all = block.buffer().order(ByteOrder.nativeOrder()).asDoubleBuffer()
        for (double[] row : rows) all.get(row)
        return rows
    }

    /** ImageJ's ROIs, from all their bytes; a position is a slice or frame where an axis is given: see Bridge.axis. */
    static Roi[] decode(byte[] data, int[] sizes, int[] colors, String axis) {
        Roi[] rois = new Roi[sizes.length]
        int at = 0
        for (int i = 0; i < sizes.length; i++) {
            byte[] one = Arrays.copyOfRange(data, at, at + sizes[i])
            at += sizes[i]
            Roi roi = RoiDecoder.openFromByteArray(one)
            if (roi == null) throw new IllegalArgumentException("ROI ${i} cannot be read")
            int stroke = (one[40] & 255) << 24 | (one[41] & 255) << 16 | (one[42] & 255) << 8 | (one[43] & 255)
            // a group brings its own colour, over the one that is stored
            if (roi.getGroup() > 0 && stroke != 0) roi.setStrokeColor(new Color(stroke, true))
            if (colors.length > 0) roi.setStrokeColor(new Color(colors[i], true))
            if (!roi.hasHyperStackPosition() && roi.getPosition() > 0) {
                if (axis == 'slice') roi.setPosition(0, roi.getPosition(), 0)
                if (axis == 'frame') roi.setPosition(0, 0, roi.getPosition())
            }
            rois[i] = roi
        }
        return rois
    }

    /** A ROI's bytes; one of a frame, but no slice, has that as its position: the plane of the series' label image. */
    static byte[] encode(Roi roi) {
        byte[] one = RoiEncoder.saveAsByteArray(roi)
        int frame = roi.getZPosition() == 0 ? roi.getTPosition() : 0
        if (one != null && frame > 0) ByteBuffer.wrap(one).putInt(56, frame)
        return one
    }

    /** The colour of each pixel of a label image, 0 black, then round and round the palette. */
    static int[] painted(Object pixels, int[] palette) {
        boolean shorts = pixels instanceof short[]
        int size = shorts ? ((short[]) pixels).length : ((float[]) pixels).length
        int[] colors = new int[size]
        for (int i = 0; i < size; i++) {
            int id = shorts ? ((short[]) pixels)[i] & 0xffff : (int) ((float[]) pixels)[i]
            colors[i] = palette[id > 0 ? (id - 1) % 255 + 1 : 0]
        }
        return colors
    }
}

/** What a result replaces: whether somebody's unsaved work is in it, and how it comes back. As fiji/keeping.py has it. */
class Keeping {
    /** Property of an image: what it was before it was replaced, an ImagePlus that is not shown, as long as there is memory. */
    static final String BEFORE = 'fijibridge.before'

    /** Property of an image whose pixels a verb put there: a number for each plane of them, when it is known. */
    static final String PUSHED = 'fijibridge.pushed'

    /** ImageJ's own flag does not say of what the paintbrush paints that it was changed. */
    static boolean unsaved(ImagePlus imp) {
        def pushed = imp.getProperty(PUSHED)
        if (pushed == null || imp.getStack().isVirtual()) return imp.changes
        if (Arrays.equals((int[]) pushed.get(), Sums.of(arrays(imp)))) return false
        return imp.changes || !imp.getOriginalFileInfo()?.fileName
    }

    static void notePushed(ImagePlus imp) {
        List<Object> planes = arrays(imp)
        FutureTask numbers = new FutureTask({ Sums.of(planes) } as Callable)
        imp.setProperty(PUSHED, numbers)
        Thread.startDaemon('fijibridge-pixels') { numbers.run() }
    }

    /** Of a single plane that of its processor: the stack may hold an older one. */
    static List<Object> arrays(ImagePlus imp) {
        ImageStack stack = imp.getStack()
        return stack.getSize() == 1 ? [imp.getProcessor().getPixels()] : (1..stack.getSize()).collect { stack.getPixels(it) }
    }

    /** An image that is not shown, with the same arrays of pixels, calibration, look and overlay. */
    static ImagePlus copy(ImagePlus imp) {
        ImageStack stack = imp.getStack()
        if (stack.getSize() == 1 && !stack.isVirtual()) {
            stack = new ImageStack(imp.getWidth(), imp.getHeight())
            stack.addSlice(imp.getStack().getSliceLabel(1), imp.getProcessor().getPixels())
            stack.setColorModel(imp.getProcessor().getColorModel())
        }
        ImagePlus kept = new ImagePlus(imp.getTitle(), stack)
        int[] dims = imp.getDimensions(true)
        kept.setDimensions(dims[2], dims[3], dims[4])
        kept.setOpenAsHyperStack(imp.isHyperStack())
        kept.setCalibration(imp.getCalibration().copy())
        if (imp.isComposite()) {
            kept = new CompositeImage(kept, ((CompositeImage) imp).getMode())
            ((CompositeImage) kept).setLuts(imp.getLuts())
        } else if (imp.getType() != ImagePlus.COLOR_RGB) {
            kept.setLut(imp.getProcessor().getLut())
            kept.setDisplayRange(imp.getDisplayRangeMin(), imp.getDisplayRangeMax())
        }
        kept.setOverlay(imp.getOverlay())
        ['Info', PUSHED].each { kept.setProperty(it, imp.getProperty(it)) }
        kept.changes = imp.changes
        return kept
    }

    static void keep(ImagePlus imp, ImagePlus before) {
        imp.setProperty(BEFORE, new SoftReference(before))
    }

    /** Lets Edit > Undo bring back the pixels that a single plane has now. */
    static void prepareUndo(ImagePlus imp) {
        // which holds the processor, and makes no copy
        if (imp.getStackSize() == 1 && !imp.getStack().isVirtual()) Undo.setup(Undo.TYPE_CONVERSION, imp)
        else Undo.reset()
    }

    /**
     * Draws an image whose pixels were changed. imagej-legacy adds the selection to the overlay, or takes both away, when it
     * draws or looks up an image that has a Dataset: they are put back.
     */
    static void redraw(ImagePlus imp, Roi[] drawn, Roi selection) {
        imp.updateAndDraw()
        refreshDataset(imp)
        if (!Arrays.equals(drawn, imp.getOverlay()?.toArray() ?: new Roi[0])) {
            Overlay again = new Overlay()
            drawn.each { again.add(it) }
            imp.setOverlay(drawn ? again : null)
        }
        if (selection != null && imp.getRoi() == null) imp.setRoi(selection)
    }

    /** Brings the Dataset up to date that ImageJ2 made of an image, which is a copy. Plain ImageJ has none. */
    static void refreshDataset(ImagePlus imp) {
        ClassLoader loader = Thread.currentThread().getContextClassLoader() ?: IJ.getClassLoader()
        Class type
        try { type = Class.forName('net.imagej.legacy.LegacyService', true, loader) } catch (ClassNotFoundException none) { return }
        def legacy = IJ.runPlugIn('org.scijava.Context', '')?.getService(type)
        if (legacy == null || !legacy.getImageMap().getImagePlusInstances().contains(imp)) return
        def display = legacy.getImageMap().lookupDisplay(imp)
        if (display == null) return
        Closure named = { String name -> Class.forName("net.imagej.${name}", true, type.getClassLoader()) }
        def displays = legacy.getContext().getService(named('display.ImageDisplayService'))
        // as imagej-legacy's own Harmonizer does it, which also takes the overlay away
        def added = named('legacy.translate.ImageTranslator').newInstance(legacy).createDisplay(imp)
        def fresh = displays.getActiveDataset(added), dataset = displays.getActiveDataset(display)
        dataset.setImgPlus(fresh.getImgPlus())
        dataset.setRGBMerged(fresh.isRGBMerged())
        dataset.setName(imp.getTitle())
        dataset.getProperties().remove('ij1-image-plus')  // else the image is among the properties of its own Dataset
        added.close()
    }

    /** Whether an image that was changed may be replaced; null if the person wants nothing at all. */
    static Boolean asked(String title) {
        String text = "'${title}' was changed and is not saved.\nReplace it by the new result (Edit > Undo brings a single " +
            'plane back),\nor keep it, and open the result beside it?'
        return (Boolean) Caller.plainly {
            def dialog = new YesNoCancelDialog(IJ.getInstance(), 'FijiBridge', text, ' Replace ', ' Keep Both ')
            dialog.cancelPressed() ? null : dialog.yesPressed()
        }
    }
}

/** Under which title each image of a call is shown: an open one that was changed, or no verb made, is not replaced unasked. */
class Places {
    private final List<ImagePlus> inputs
    private final Caller caller
    private final Map<String, String> known = [:]
    boolean overwrite

    Places(List<ImagePlus> inputs, boolean overwrite, Caller caller) {
        this.inputs = inputs
        this.overwrite = overwrite
        this.caller = caller
    }

    String find(String name) {
        if (!(name in known)) known[name] = place(name)
        return known[name]
    }

    private String place(String name) {
        List<ImagePlus> there = titled(name)
        if (!there) return name
        boolean made = there.every { it.getProperty(Bridge.RESULT) != null }
        boolean taken = !made && there.any { image -> inputs.any { it.is(image) } }
        if (there.size() > 1 || taken || !(made || overwrite)) return free(name)
        if (overwrite || !Keeping.unsaved(there[0])) return name
        if (caller.kind == Caller.PERSON && Caller.interactive()) {
            Boolean answer = Keeping.asked(name)
            if (answer == null) throw new Stopped('cancelled')
            overwrite = overwrite || answer
            return answer ? name : free(name)
        }
        String title = free(name)
        IJ.log("FijiBridge: '${name}' was changed and is not saved: the result is '${title}' (overwrite=true replaces it)")
        return title
    }

    /** The name with -1, -2 ... behind it: the first that is free, or is that of a result that may be replaced. */
    private static String free(String name) {
        for (int count = 1; ; count++) {
            String title = "${name}-${count}"
            List<ImagePlus> there = titled(title)
            boolean mayGo = there.size() == 1 && there[0].getProperty(Bridge.RESULT) != null && !Keeping.unsaved(there[0])
            if (!there || mayGo) return title
        }
    }

    private static List<ImagePlus> titled(String title) { Bridge.openImages().findAll { it.getTitle() == title } }
}

/** A number for the pixels of each plane, the same as ij.FijiBridgeSums in fiji/javaside.py. */
@CompileStatic
class Sums {
    static int[] of(List<Object> planes) {
        int[] sums = new int[planes.size()]
        IntStream.range(0, sums.length).parallel().forEach { int i -> sums[i] = sum(planes[i]) }
        return sums
    }

    static int sum(Object pixels) {
        CRC32 sum = new CRC32()
        if (pixels instanceof byte[]) {
            sum.update((byte[]) pixels, 0, ((byte[]) pixels).length)
            return (int) sum.getValue()
        }
        ByteBuffer bytes = ByteBuffer.allocateDirect(1 << 18).order(ByteOrder.nativeOrder())
        int width = pixels instanceof short[] ? 2 : 4, length = java.lang.reflect.Array.getLength(pixels)
        int several = (1 << 18).intdiv(width)
        for (int first = 0; first < length; first += several) {
            int count = Math.min(several, length - first)
            bytes.clear()
            Memory.put(bytes, pixels, first, count)
            bytes.position(0)
            bytes.limit(count * width)
            sum.update(bytes)
        }
        return (int) sum.getValue()
    }
}

/** One Python process, for all scripts of this Fiji that were installed from one environment. */
class Bridge {
    /** Name of what paints a label image with more ids than a lookup table has colours. */
    static final String PAINT = 'fijibridge colours'

    /** Property of the images that a verb made, which its next result of that name replaces. It is not saved with them. */
    static final String RESULT = 'fijibridge.result'

    /** What is shown is looked for, and made, by one call at a time. */
    private static final Object SHOWING = new Object()

    final String python
    private Service service
    private Map hello = [:]
    private final AtomicInteger working = new AtomicInteger()

    Bridge(String python) { this.python = python }

    /**
     * Calls a verb, asks for its parameters where a person does, and ends who called if it fails.
     *
     * @param verb its name, its command, and what its dialog shows
     * @param version of fijibridge, by which the script was made
     * @param variables of the script, among which SciJava puts its module
     */
    void call(Map verb, String version, Binding variables) {
        String key = 'org.scijava.script.ScriptModule'
        Object module = null
        try { module = variables.getVariable(key) } catch (MissingPropertyException none) { }
        serve(verb, version, new Caller(module, (verb.parameters*.name + 'overwrite').unique()))
    }

    /** As the scripts of fijibridge 0.1 call a verb, with the values of their parameters. */
    void perform(String verb, String version, List<String> images, List<String> cells, Map<String, Object> values) {
        List parameters = values.keySet().collect { [name: it, kind: it in images ? 'image' : it in cells ? 'cells' : 'text'] }
        Map described = [name: verb, command: 'FijiBridge', long: false, parameters: parameters]
        serve(described, version, new Caller(null, [], values.findAll { it.value != null && it.value != '' }))
    }

    private void serve(Map verb, String version, Caller caller) {
        working.incrementAndGet()
        caller.enter()
        try {
            if (caller.kind != Caller.MACRO) IJ.resetEscape()  // a macro does it itself
            if (caller.asks() && verb.parameters) ask(verb, version, caller)
            else work(verb, read(verb, version, caller), version, caller)
        } catch (Stopped stopped) {
            IJ.showStatus("FijiBridge: ${stopped.message}")
            caller.end(verb.command, stopped.message, true)
        } catch (Told error) {
            caller.end(verb.command, told(verb, error), false)
        } catch (Exception error) {
            StringWriter trace = new StringWriter()
            error.printStackTrace(new PrintWriter(trace))
            IJ.log("FijiBridge: ${trace}")
            caller.end(verb.command, "${verb.command}: ${error.class.simpleName}: ${error.message} (all of it is in the log)", false)
        } finally {
            leaveToUs(verb)
            caller.leave()
            working.decrementAndGet()
            IJ.showProgress(1.0d)
        }
    }

    /** Lets a person fill the dialog until it can be done. */
    private void ask(Map verb, String version, Caller caller) {
        Map<String, String> texts = Form.offered(verb, caller.image())
        while (true) {
            texts = Form.ask(verb, texts)
            if (texts == null) throw new Stopped('cancelled')
            boolean began = false
            try {
                Map given = answer(version, caller, 'read', [verb: verb.name, given: texts]).given
                taken(verb, given, caller, null)
                Form.remember(verb, texts)
                IJ.resetEscape()
                began = true
                work(verb, given, version, caller)
                return
            } catch (Told error) {
                if (began && verb.long) throw error
                Caller.plainly { IJ.showMessage((String) verb.command, Form.wrapped(told(verb, error))) }
            }
        }
    }

    private static String told(Map verb, Exception error) {
        return error.message.startsWith(verb.command) ? error.message : "${verb.command}: ${error.message}"
    }

    /** What was given, by name, as Python reads it. */
    private Map read(Map verb, String version, Caller caller) {
        Map asked = caller.options != null
            ? [verb: verb.name, options: caller.options, variables: caller.variables()]
            : [verb: verb.name, given: caller.inputs.collectEntries { [it.key, plain(it.value)] }.findAll { it.value != null }]
        return answer(version, caller, 'read', asked).given
    }

    /** Asks the Python that works for this Fiji about options. */
    private Map answer(String version, Caller caller, String what, Map asked) {
        Here here = Here.find(caller.module, version)
        if (here != null) return here.ask([what: what, *: asked])
        Service worker = worker(version)
        try {
            return await(worker, worker.task(":${what}", [given: asked]))
        } catch (Gone gone) {  // killed a moment ago, it still looked alive
            leave(worker)
            worker = this.worker(version)
            return await(worker, worker.task(":${what}", [given: asked]))
        }
    }

    private void work(Map verb, Map given, String version, Caller caller) {
        Here here = Here.find(caller.module, version)
        if (here != null) {
            ImagePlus before = WindowManager.getCurrentImage()
            Map named = here.ask([what: 'perform', verb: verb.name, given: named(given, caller), person: caller.kind == Caller.PERSON]).named
            record(verb, [*: given, *: named], version, caller)
            ImagePlus after = WindowManager.getCurrentImage()
            if (!after.is(before)) caller.activate(after)
            return
        }
        List<NDArray> sent = []
        try {
            Service worker = worker(version)
            Map<String, ImagePlus> open = [:]
            Map<String, String> names = [:]
            Map images = taken(verb, given, caller, sent, open, names)
            Map inputs = [given: given.findAll { name, value -> !(kind(verb, name) in Form.INPUTS) }, images: images]
            boolean overwrite = kind(verb, 'overwrite') == null && "${given.overwrite}".toLowerCase() in ['true', '1', 'yes']
            Places places = new Places(open.values().toList(), overwrite, caller)
            Closure recorded = {
                record(verb, [*: given, *: names, *: places.overwrite ? [overwrite: 'true'] : [:]], version, caller)
            }
            try {
                receive(worker, worker.task(verb.name, inputs), open, caller, places, recorded)
            } catch (Gone gone) {
                leave(worker)
                worker = this.worker(version)
                receive(worker, worker.task(verb.name, inputs), open, caller, places, recorded)
            }
            if (verb.name == 'train_u_net')
                ['predict', 'predict_folder'].each { Prefs.set("fijibridge.${it}.model", given.out.toString()) }
        } finally {
            sent.each { it.close() }
        }
    }

    private static String kind(Map verb, String name) { verb.parameters.find { it.name == name }?.kind }

    /** Given values, images that SciJava gave as such by their ids. */
    private static Map named(Map given, Caller caller) {
        return given.collectEntries { name, value ->
            [name, caller.inputs[name] instanceof ImagePlus ? String.valueOf(caller.inputs[name].getID()) : value]
        }
    }

    // --- the recorder -------------------------------------------------------------------------------

    /** Writes a call into the recorder, if it is open, as it is read. */
    private void record(Map verb, Map given, String version, Caller caller) {
        if (!IJ.recording() || (caller.kind != Caller.PERSON && !Recorder.recordInMacros)) return
        String line
        boolean script = Recorder.scriptMode()
        try {
            String options = answer(version, caller, 'write', [verb: verb.name, given: given]).options
            String call = options || script ? "\"${verb.command}\", \"${Recorder.fixString(options)}\"" : "\"${verb.command}\""
            line = script ? "IJ.run(${call});\n" : "run(${call});\n"
        } catch (Told error) {
            line = "// ${verb.command}: ${error.message}\n"
        }
        Recorder.recordString(line)
    }

    /** Keeps the recorder from writing a command by itself when it is over, without what it was given. */
    private static void leaveToUs(Map verb) {
        if (IJ.recording() && Recorder.getCommand() == verb.command) Recorder.disableCommandRecording()
    }

    // --- the process --------------------------------------------------------------------------------

    /** The worker, started if there is none, and told apart from one that is of another version than the script. */
    private synchronized Service worker(String version) {
        boolean alive = service != null && service.isAlive()
        // the package was updated while this Fiji ran
        if (alive && hello.version != version && working.get() == 1) {
            service.close()
            alive = false
        }
        if (!alive) start()
        if (hello.version != version)
            throw new Told("this script is of fijibridge ${version}, and its Python environment has ${hello.version}. Run " +
                "'${python} -m fijibridge install-scripts PATH_TO_FIJI' again")
        return service
    }

    private void start() {
        if (!new File(python).exists())
            throw new Told("the Python environment of FijiBridge is gone: there is no ${python}. Install fijibridge again, and " +
                "run 'fijibridge install-scripts PATH_TO_FIJI'")
        IJ.showStatus('FijiBridge: starting Python ...')
        Service started = new Service(new File(System.getProperty('user.dir')), python, '-P', '-m', 'fijibridge.worker.process')
        Exception failed = null
        // its threads inherit that they do not keep Java from ending
        Thread starting = Thread.startDaemon('FijiBridge-Start') {
            try { started.start() } catch (Exception error) { failed = error }
        }
        starting.join()
        if (failed != null) throw new Told("Python could not be started, ${python}: ${failed.message}")
        service = started
        hello = await(started, started.task(':hello'))
    }

    /** Forgets a worker that is gone, so that the next call starts one. */
    private synchronized void leave(Service gone) {
        if (service.is(gone)) service = null
    }

    /** Ends the worker; what still works in it is cancelled, a training saved. */
    synchronized void close() {
        if (service != null && service.isAlive()) service.close()
        service = null
    }

    /** Waits for a task, tells how far it is, cancels it if Escape is pressed, and returns its outputs. */
    private Map await(Service python, Service.Task task) {
        CountDownLatch done = new CountDownLatch(1)
        boolean began = false
        int lines = python.errorLines().size()
        task.listen { event ->
            began = began || event.responseType == Service.ResponseType.LAUNCH
            if (event.message) IJ.showStatus("FijiBridge: ${event.message}")
            if (event.maximum > 0) IJ.showProgress((int) event.current, (int) event.maximum)
            if (task.status.isFinished()) done.countDown()
        }
        task.start()
        boolean cancelled = false, interrupted = false
        while (!ended(done) { interrupted = true }) {
            if (!cancelled && (interrupted || IJ.escapePressed())) {
                task.cancel()
                cancelled = true
                IJ.showStatus('FijiBridge: cancelling ...')
            }
            // of a process that ended before it was asked, Appose tells nothing
            if (!python.isAlive() && !done.await(2, TimeUnit.SECONDS)) break
        }
        if (interrupted) Thread.currentThread().interrupt()
        String status = done.count > 0 ? 'CRASHED' : task.status.name()
        if (status == 'COMPLETE') return task.outputs
        if (status == 'CANCELED') throw new Stopped('cancelled')
        if (status == 'CRASHED') {
            log(python, lines)
            if (cancelled && !began) throw new Stopped('cancelled')
            String ended = 'the Python process of FijiBridge ended while it worked (what it said last is in the log). The ' +
                'next call starts a new one'
            throw began ? new Told(ended) : new Gone(ended)
        }
        if (task.error ==~ /(?s).*is in the log\)/) {
            Thread.sleep(200)  // what it says comes by another way
            log(python, lines)
        }
        throw new Told(task.error)
    }

    private static boolean ended(CountDownLatch done, Closure interrupted) {
        try {
            return done.await(50, TimeUnit.MILLISECONDS)
        } catch (InterruptedException error) {
            interrupted()
            return false
        }
    }

    private static void log(Service python, int from) {
        List<String> said = new ArrayList<>(python.errorLines())
        said.drop(from).takeRight(200).each { IJ.log(it) }
    }

    private void receive(Service python, Service.Task task, Map<String, ImagePlus> open, Caller caller, Places places,
            Closure recorded) {
        List<NDArray> came = []
        try {
            List results = attached(await(python, task).results, came)
            results.findAll { it.kind == 'image' }.each { places.find((String) it.name) }
            recorded()
            synchronized (SHOWING) {
                results.each { show(it, open, caller, places) }
            }
        } finally {
            came.each { it.close() }
            if (python.isAlive()) python.task(':release', [given: [task: task.uuid]]).start()
        }
    }

    /** What came, with blocks of memory where their names were; not every Appose looks for them in lists. */
    private static Object attached(Object value, List<NDArray> came) {
        if (value instanceof List) return value.collect { attached(it, came) }
        if (!(value instanceof Map)) return value
        if (!value.containsKey('block')) return value.collectEntries { [it.key, attached(it.value, came)] }
        // one that is gone, with its process, would be made anew, and reading it would end this one
        if (Memory.PLACE.isDirectory() && new File(Memory.PLACE, value.block).length() < value.size)
            throw new Told('the Python process of FijiBridge ended before its results were read. The next call starts a new one')
        NDArray block = new NDArray(NDArray.DType.fromLabel(value.dtype),
            new NDArray.Shape(NDArray.Shape.Order.C_ORDER, value.shape as int[]),
            SharedMemory.attach(value.block, value.size.longValue()))
        came << block
        return block
    }

    // --- what goes ----------------------------------------------------------------------------------

    /** A value that SciJava was given, as JSON can say it; an image by its id. */
    private static Object plain(Object value) {
        if (value instanceof ImagePlus) return String.valueOf(value.getID())
        if (value instanceof File) return value.getPath() ? value.getAbsolutePath() : null
        if (value instanceof Number || value instanceof Boolean) return value
        return value.toString().trim() ?: null
    }

    /**
     * Describes the inputs, with their pixels or ROIs, unless they are only looked for.
     *
     * @param open gets the image of each, by parameter
     * @param names gets what the recorder calls each
     */
    private static Map taken(Map verb, Map given, Caller caller, List sent, Map<String, ImagePlus> open = [:], Map<String, String> names = [:]) {
        List<String> problems = []
        Map<String, String> drawn = [:]
        verb.parameters.findAll { it.kind in Form.INPUTS }.sort(false) { it.kind == 'image' ? 0 : 1 }.each { parameter ->
            String name = parameter.name, text = (given[name] ?: '').toString().trim()
            Object value = caller.inputs[name] instanceof ImagePlus ? caller.inputs[name] : text
            String where = [Form.MANAGER, Form.OVERLAY].find { it.equalsIgnoreCase(text) }
            if (parameter.kind == 'cells' && where != null) drawn[name] = where
            else if (value || (parameter.kind == 'image' && !parameter.optional)) {
                try {
                    open[name] = value ? named(value) : active(caller)
                    names[name] = Form.titles()[open[name].getID()] ?: String.valueOf(open[name].getID())
                } catch (Told error) {
                    problems << "${name}: ${error.message}".toString()
                }
            }
        }
        ImagePlus first = open ? open.values()[0] : null
        drawn.each { name, where ->
            if (first == null && !problems && caller.image() == null)
                problems << "${name}: the cells in the ${where} need an image to lie in: give the verb an image".toString()
        }
        if (problems) throw new Told(problems.join('; '))
        if (sent == null) return [:]
        first = first ?: caller.image()
        Map told = open.collectEntries { name, imp -> [name, described(imp) + [blocks: Memory.send(imp, type(imp), sent)]] }
        drawn.each { name, where ->
            open[name] = first
            names[name] = where
            told[name] = described(first) + [rois: encoded(rois(first, where), sent)]
        }
        return told
    }

    private static ImagePlus active(Caller caller) {
        ImagePlus imp = caller.image()
        if (imp == null) throw new Told('no image is open in Fiji')
        return imp
    }

    /** The open image of a title, a pattern or an id. */
    private static ImagePlus named(Object value) {
        if (value instanceof ImagePlus) {
            if (value.getProcessor() == null) throw new Told("'${value.getTitle()}' is closed")
            return value
        }
        String title = value.toString()
        List<ImagePlus> images = openImages(), found = images.findAll { it.getTitle() == title }
        if (!found && title ==~ /-\d+/) found = images.findAll { it.getID() == (title as int) }
        if (!found) found = images.findAll { it.getTitle() ==~ pattern(title) }
        String quoted = "'${title}'"
        if (!found) throw new Told("no open image ${quoted}; open are [${images.collect { "'${it.getTitle()}'" }.join(', ')}]")
        if (found.size() > 1) {
            String several = found.collect { "${it.getID()}: '${it.getTitle()}'" }.join(', ')
            throw new Told("${quoted} means ${found.size()} open images: say which by its id, one of {${several}}")
        }
        return found[0]
    }

    /** A pattern with * and ? as a regular expression. */
    private static String pattern(String text) {
        return text.collect { it == '*' ? '.*' : it == '?' ? '.' : java.util.regex.Pattern.quote(it) }.join('')
    }

    static List<ImagePlus> openImages() {
        return (WindowManager.getIDList() ?: [] as int[]).collect { WindowManager.getImage(it) }.findAll { it != null }
    }

    private static String type(ImagePlus imp) {
        switch (imp.getType()) {
            case ImagePlus.GRAY16: return 'uint16'
            case ImagePlus.GRAY32: return 'float32'
            case ImagePlus.COLOR_RGB: return 'uint32'
            default: return 'uint8'
        }
    }

    private static Map described(ImagePlus imp) {
        int[] dims = imp.getDimensions(true)
        Calibration cal = imp.getCalibration()
        boolean signed = cal.isSigned16Bit(), rgb = imp.getType() == ImagePlus.COLOR_RGB
        Map told = [
            title: imp.getTitle(), id: imp.getID(), counts: [dims[4], dims[2], dims[3]], height: dims[1], width: dims[0],
            type: signed ? 'signed 16-bit' : [(ImagePlus.GRAY8): '8-bit', (ImagePlus.GRAY16): '16-bit',
                (ImagePlus.GRAY32): '32-bit', (ImagePlus.COLOR_256): '8-bit color', (ImagePlus.COLOR_RGB): 'RGB'][imp.getType()],
            pixel_size: [cal.pixelDepth, cal.pixelHeight, cal.pixelWidth].collect { finite(it) },
            origin: [cal.zOrigin, cal.yOrigin, cal.xOrigin].collect { finite(it) },
            units: [cal.getZUnit(), cal.getYUnit(), cal.getXUnit()],
            interval: finite(cal.frameInterval), time_unit: cal.getTimeUnit(),
            info: imp.getInfoProperty(), properties: imp.getPropertiesAsArray()?.toList(),
        ]
        List<String> labels = (1..imp.getStackSize()).collect { imp.getStack().getSliceLabel(it) }
        if (labels.any()) told.slice_labels = labels
        if (!rgb) {
            boolean composite = imp.isComposite()
            List<LUT> luts = composite ? imp.getLuts().toList() : [imp.getProcessor().getLut()]
            told.luts = luts.collect { hex(it) }
            told.display_ranges = composite ? luts.collect { [finite(it.min), finite(it.max)] }
                : [[finite(imp.getDisplayRangeMin()), finite(imp.getDisplayRangeMax())]]
            if (composite) told.mode = ((CompositeImage) imp).getMode()
        }
        if (cal.calibrated() && !signed && cal.getFunction() != Calibration.NONE)
            told.calibration_function = [function: cal.getFunction(), coefficients: (cal.getCoefficients() ?: []) as List,
                unit: cal.getValueUnit()]
        def file = imp.getOriginalFileInfo()
        if (file?.fileName) told.path = (file.directory ?: '') + file.fileName
        return told
    }

    /** JSON knows no NaN, and no infinity. */
    private static double finite(double value) { Double.isNaN(value) || Double.isInfinite(value) ? 0.0d : value }

    private static String hex(LUT lut) {
        byte[] colors = new byte[768]
        byte[][] bands = [new byte[256], new byte[256], new byte[256]]
        lut.getReds(bands[0]); lut.getGreens(bands[1]); lut.getBlues(bands[2])
        for (int i = 0; i < 256; i++) for (int b = 0; b < 3; b++) colors[3 * i + b] = bands[b][i]
        return colors.encodeHex().toString()
    }

    private static List<Roi> rois(ImagePlus imp, String where) {
        if (where == Form.OVERLAY) return (imp.getOverlay()?.toArray() ?: []).findAll { it.getName() != PAINT } as List<Roi>
        RoiManager manager = GraphicsEnvironment.isHeadless() ? null : RoiManager.getInstance2()
        if (manager == null) throw new Told('the ROI Manager is not open')
        return manager.getRoisAsArray() as List<Roi>
    }

    private static Map encoded(List<Roi> rois, List<NDArray> sent) {
        List<byte[]> all = []
        // while ImageJ draws a ROI without a colour of its own, it has one
        onEventThread { all = rois.collect { Memory.encode(it) }.findAll { it != null } }
        if (!all) throw new Told('there are no ROIs that could be cells: draw areas and add them')
        ByteArrayOutputStream joined = new ByteArrayOutputStream()
        all.each { joined.write(it, 0, it.length) }
        return [bytes: block('uint8', joined.toByteArray(), joined.size(), sent),
                sizes: block('int32', all.collect { it.length } as int[], all.size(), sent)]
    }

    private static NDArray block(String type, Object values, int size, List<NDArray> sent) {
        NDArray made = new NDArray(NDArray.DType.fromLabel(type), new NDArray.Shape(NDArray.Shape.Order.C_ORDER, size))
        sent << made
        Memory.put(made.buffer().order(ByteOrder.nativeOrder()), values, 0, size)
        return made
    }

    private static void onEventThread(Closure work) {
        if (GraphicsEnvironment.isHeadless() || EventQueue.isDispatchThread()) work()
        else EventQueue.invokeAndWait(work)
    }

    // --- what comes back ----------------------------------------------------------------------------

    private static void show(Map told, Map<String, ImagePlus> open, Caller caller, Places places) {
        switch (told.kind) {
            case 'image': showImage(told, caller, places.find((String) told.name)); break
            case 'outlines': outline(told, still(open, told.over)); break
            case 'table': showTable(table(told), told.name, told.add, told.select_in == null ? null : open[told.select_in]); break
            case 'curves': plot(told, caller); break
            case 'measure': measure(told, still(open, told.on)); break
            case 'say': IJ.log(told.text); break
            default: throw new Told("Python gave ${told.kind}, which this script does not know")
        }
    }

    private static ImagePlus still(Map<String, ImagePlus> open, String parameter) {
        ImagePlus imp = open[parameter]
        if (imp == null || imp.getProcessor() == null)
            throw new Told("the image of ${parameter} was closed before the result could be shown in it")
        return imp
    }

    private static LUT lut(String hex, double low, double high) {
        byte[] colors = hex.decodeHex()
        byte[][] bands = (0..2).collect { b -> (0..255).collect { colors[3 * it + b] } as byte[] } as byte[][]
        return new LUT(new java.awt.image.IndexColorModel(8, 256, bands[0], bands[1], bands[2]), low, high)
    }

    private static void showImage(Map told, Caller caller, String title) {
        List<Object> planes = Memory.planes(told.blocks, told.width * told.height)
        ImageStack stack = new ImageStack(told.width, told.height)
        planes.eachWithIndex { pixels, i -> stack.addSlice(told.labels ? told.labels[i] : null, pixels) }
        ImagePlus imp = new ImagePlus(told.name, stack)
        def (frames, channels, slices) = told.counts
        imp.setDimensions(channels, slices, frames)
        if (channels > 1 || (slices > 1 && frames > 1)) imp.setOpenAsHyperStack(true)
        calibrate(imp, told)
        if (!told.rgb) imp = displayed(imp, told, channels)
        if (told.limits != null) limit(imp, told.limits[0], told.limits[1])
        if (told.colors != null) {
            imp.setLut(lut(told.colors, 0, 255))
            if (told.limits != null) imp.setDisplayRange(told.limits[0], told.limits[1])
        }
        imp.setTitle(title)
        // ImageJ forgets what Edit > Undo would undo when another window becomes the active one
        caller.activate(openImages().find { it.getTitle() == title })
        ImagePlus shown = inWindow(imp)
        if (told.first != null) shown.setC(told.first)
        if (told.paint) shown.setOverlay(painted(planes, told))
        else if (shown.getOverlay()?.toArray()?.any { it.getName() == PAINT }) shown.setOverlay(null)
        caller.activate(shown)  // a window that is used again is not the active one by itself
    }

    private static void calibrate(ImagePlus imp, Map told) {
        Calibration cal = new Calibration(imp)
        cal.pixelDepth = told.pixel_size[0].doubleValue()
        cal.pixelHeight = told.pixel_size[1].doubleValue()
        cal.pixelWidth = told.pixel_size[2].doubleValue()
        cal.zOrigin = told.origin[0].doubleValue()
        cal.yOrigin = told.origin[1].doubleValue()
        cal.xOrigin = told.origin[2].doubleValue()
        if (told.units[0] != null) cal.setZUnit(told.units[0])
        if (told.units[1] != null) cal.setYUnit(told.units[1])
        if (told.units[2] != null) cal.setXUnit(told.units[2])
        if (told.interval != null) {
            cal.frameInterval = told.interval.doubleValue()
            cal.setTimeUnit(told.time_unit)
        }
        if (told.signed) cal.setSigned16BitCalibration()
        else if (told.function != null)
            cal.setFunction(told.function.function, told.function.coefficients ? told.function.coefficients as double[] : null,
                told.function.unit)
        // what Python says about its image counts, not the calibration that ImageJ was told to use for all images
        imp.setIgnoreGlobalCalibration(true)
        imp.setCalibration(cal)
        if (told.info) imp.setProperty('Info', told.info)
        if (told.properties) imp.setProperties(told.properties as String[])
    }

    private static ImagePlus displayed(ImagePlus imp, Map told, int channels) {
        List<LUT> luts = [told.luts, told.ranges].transpose().collect { hex, range ->
            lut(hex, range[0].doubleValue(), range[1].doubleValue())
        }
        if (told.mode != null && channels > 1) {
            CompositeImage composite = new CompositeImage(imp, told.mode)
            if (luts.size() == channels) composite.setLuts(luts as LUT[])
            return composite
        }
        if (luts && told.mode == null) {
            imp.setLut(luts[0])
            imp.setDisplayRange(told.ranges[0][0].doubleValue(), told.ranges[0][1].doubleValue())
        }
        return imp
    }

    private static void limit(ImagePlus imp, Number low, Number high) {
        if (imp.isComposite()) {
            LUT[] luts = imp.getLuts()
            luts.each { it.min = low.doubleValue(); it.max = high.doubleValue() }
            ((CompositeImage) imp).setLuts(luts)
        } else imp.setDisplayRange(low.doubleValue(), high.doubleValue())
    }

    /** Shows a result in the window of that result if there is one, where the kind of the window allows, else in a new one. */
    private static ImagePlus inWindow(ImagePlus made) {
        made.setProperty(RESULT, made.getTitle())
        ImagePlus there = openImages().find { it.getTitle() == made.getTitle() }
        if (there == null) {
            Keeping.notePushed(made)
            made.show()
            return made
        }
        ImagePlus before = Keeping.copy(there)
        boolean same = Arrays.equals(there.getDimensions(true), made.getDimensions(true))
        if (same) made.setOverlay(there.getOverlay())
        if (there.isComposite() != made.isComposite() || (there.getWindow() != null && !same)) {
            def where = there.getWindow()?.getLocation()
            there.changes = false
            there.setIgnoreFlush(true)  // else its pixels were gone, which are kept
            there.close()
            Keeping.notePushed(made)
            Keeping.keep(made, before)
            made.show()
            if (where != null) made.getWindow()?.setLocation(where)
            return made
        }
        double low = made.getDisplayRangeMin(), high = made.getDisplayRangeMax()
        Roi selection = there.getRoi()
        Keeping.prepareUndo(there)
        Roi[] drawn = made.getOverlay()?.toArray() ?: new Roi[0]
        there.setImage(made)
        if (!there.isComposite() && there.getType() != ImagePlus.COLOR_RGB) there.setDisplayRange(low, high)
        if (selection != null) there.setRoi(selection)
        there.setProperty(RESULT, made.getTitle())
        Keeping.notePushed(there)
        Keeping.keep(there, before)
        there.changes = false
        Keeping.redraw(there, drawn, selection)
        return there
    }

    /** The title, with -1, -2 ... behind it while an image is called so that no verb made. */
    private static String free(String title) {
        Set<String> taken = openImages().findAll { it.getProperty(RESULT) == null }*.getTitle()
        return taken.contains(title) ? (1..taken.size()).collect { "${title}-${it}".toString() }.find { !(it in taken) } : title
    }

    /** An overlay with the colour of each id: a lookup table has but 256 colours, and spreads them. */
    private static Overlay painted(List<Object> planes, Map told) {
        byte[] colors = told.colors.decodeHex()
        int[] palette = (0..255).collect { i ->
            (colors[3 * i] & 255) << 16 | (colors[3 * i + 1] & 255) << 8 | (colors[3 * i + 2] & 255)
        } as int[]
        Overlay overlay = new Overlay()
        planes.eachWithIndex { pixels, i ->
            ImageRoi roi = new ImageRoi(0, 0, new ColorProcessor(told.width, told.height, Memory.painted(pixels, palette)))
            roi.setName(PAINT)
            roi.setPosition(planes.size() > 1 ? i + 1 : 0)
            overlay.add(roi)
        }
        return overlay
    }

    private static Roi[] rois(Map told, String axis) {
        return Memory.decode(Memory.bytes(told.bytes), Memory.ints(told.sizes), Memory.ints((NDArray) told.colors), axis)
    }

    /** Along which axis of an image a plain position counts, as a label image's ROIs have it. */
    static String axis(ImagePlus imp) {
        if (imp.getNSlices() > 1) return 'slice'
        if (imp.getNFrames() > 1) return 'frame'
        return imp.getNChannels() > 1 ? 'channel' : 'slice'
    }

    private static void outline(Map told, ImagePlus imp) {
        Roi[] rois = rois(told, imp.isHyperStack() ? axis(imp) : '')
        if (told.manager && !GraphicsEnvironment.isHeadless()) {
            RoiManager manager = RoiManager.getRoiManager()
            rois.each { manager.add(it, -1) }  // which copies them, before ImageJ draws them
            manager.runCommand('Show None')
        }
        Overlay overlay = new Overlay()
        rois.each { overlay.add(it) }
        imp.setOverlay(overlay)
    }

    private static ResultsTable table(Map told) {
        ResultsTable table = new ResultsTable((Integer) told.rows)
        double[][] numbers = Memory.doubles(told.numbers)
        told.columns.each { column ->
            if (column.texts != null) column.texts.eachWithIndex { text, row -> table.setValue((String) column.name, row, (String) text) }
            else if (told.rows) table.setValues((String) column.name, numbers[column.number])
        }
        decimals(table)
        return table
    }

    /** Shows columns of whole numbers, and gaps, without decimals, others with four. */
    private static void decimals(ResultsTable table) {
        table.getHeadings().each { heading ->
            int index = table.getColumnIndex(heading)
            double[] column = index < 0 ? null : table.getColumnAsDoubles(index)
            if (column != null) table.setDecimalPlaces(index, column.every { Double.isNaN(it) || it == Math.rint(it) } ? 0 : 4)
        }
    }

    /** Without windows ImageJ has but the table Results; others are kept as IJ.getProperty('fijibridge.table.NAME'). */
    private static void showTable(ResultsTable table, String name, boolean add, ImagePlus selectIn) {
        boolean headless = GraphicsEnvironment.isHeadless()
        String key = "fijibridge.table.${name}"
        ResultsTable there = !add ? null : headless ? (ResultsTable) IJ.getProperty(key) : ResultsTable.getResultsTable(name)
        if (there != null) table = joined(there, table)
        if (name == 'Results') {
            Analyzer.setResultsTable(table)  // which empties the window, and forgets the decimals
            decimals(table)
        }
        if (headless) IJ.setProperty(key, table)
        else {
            table.show(name)
            follow(name, selectIn)
        }
    }

    /** Adds rows to a table; of what a row has nothing it has a gap there, where ImageJ would write 0. */
    private static ResultsTable joined(ResultsTable there, ResultsTable more) {
        int before = there.size(), after = before + more.size()
        List<String> known = there.getHeadings().toList(), added = more.getHeadings().toList()
        Map<String, Boolean> text = (known + added).unique().collectEntries { [it, isText(there, it) || isText(more, it)] }
        added.each { heading ->
            if (heading !in known) blank(there, heading, 0, before, text[heading])
            for (int row = 0; row < more.size(); row++) {
                if (text[heading]) there.setValue(heading, before + row, more.getStringValue(heading, row))
                else there.setValue(heading, before + row, more.getValue(heading, row))
            }
        }
        (known - added).findAll { there.getColumnIndex(it) >= 0 }.each { blank(there, it, before, after, text[it]) }
        decimals(there)
        return there
    }

    /** Whether a column has texts: ImageJ keeps them beside numbers that are none. */
    private static boolean isText(ResultsTable table, String heading) {
        int index = table.getColumnIndex(heading)
        double[] numbers = index < 0 ? null : table.getColumnAsDoubles(index)
        if (numbers == null) return heading in table.getHeadings().toList()  // labels of rows
        return (0..<table.size()).any {
            Double.isNaN(numbers[it]) && !(table.getStringValue(heading, it) in ['NaN', '', 'null'])
        }
    }

    private static void blank(ResultsTable table, String heading, int from, int to, boolean text) {
        for (int row = from; row < to; row++) {
            if (text) table.setValue(heading, row, '')
            else table.setValue(heading, row, Double.NaN)
        }
    }

    /** Selects the cell of a row that is clicked. */
    private static void follow(String name, ImagePlus imp) {
        def window = WindowManager.getWindow(name)
        if (!(window instanceof TextWindow)) return
        def panel = window.getTextPanel()
        // ImageJ's panel adds listeners to its canvas, and removes none there
        panel.getComponents().each { part ->
            part.getMouseListeners().findAll { it instanceof Follower }.each { part.removeMouseListener(it) }
        }
        if (imp != null) panel.addMouseListener(new Follower(panel, imp))
    }

    private static void plot(Map told, Caller caller) {
        double[][] numbers = Memory.doubles(told.numbers)
        double[] x = numbers[0]
        String title = free((String) told.name)
        Plot plot = new Plot(title, told.xlabel, told.ylabel)
        List<String> colors = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e', '#17becf'], names = []
        told.names.eachWithIndex { name, i ->
            double[] y = numbers[i + 1]
            List<Integer> known = (0..<y.length).findAll { !Double.isNaN(y[it]) && !Double.isInfinite(y[it]) }
            if (!known) return
            plot.setColor(Color.decode(colors[i % colors.size()]))
            plot.setLineWidth(2)
            plot.add('line', known.collect { x[it] } as double[], known.collect { y[it] } as double[])
            names << name
        }
        plot.setColor(Color.black)
        if (names.size() > 1) plot.addLegend(names.join('\n'))
        plot.setLimitsToFit(false)
        openImages().findAll { it.getTitle() == title }.each { it.changes = false; it.close() }
        ImagePlus imp = plot.getImagePlus()
        imp.setTitle(title)
        if (GraphicsEnvironment.isHeadless()) imp.show()
        else imp = plot.show().getImagePlus()
        imp.setProperty(RESULT, title)
        caller.activate(imp)
    }

    // --- measuring, as fijibridge/fiji/analyzer.py does it -----------------------------------------

    private static void measure(Map told, ImagePlus imp) {
        if (Analyzer.isRedirectImage())
            throw new Told("Analyze > Set Measurements redirects measuring to another image: choose 'Redirect to: None' there")
        Roi[] rois = rois(told, '')
        int[] slices = rois.collect { slice(imp, it, told.channel) } as int[]
        ImagePlus twin = twin(imp)
        ResultsTable result = table(told.told)
        int before = Analyzer.getMeasurements()
        Analyzer.setMeasurements(told.constants.inject(0) { flags, name -> flags | Measurements."${name}" })
        try {
            (slices as Set).sort().each { index ->
                List<Integer> here = (0..<rois.length).findAll { slices[it] == index }
                Overlay overlay = new Overlay()
                here.each { overlay.add(rois[it]) }
                twin.setSliceWithoutUpdate(index)
                ResultsTable part = overlay.measure(twin)
                if (part.size() != here.size())
                    throw new Told("a ROI has several rows in ImageJ's table (multi-point): measure areas, or single points")
                part.getHeadings().each { heading ->
                    if (heading.trim()) here.eachWithIndex { row, i ->
                        if (heading == 'Label') result.setValue(heading, row, part.getLabel(i))
                        else result.setValue(heading, row, part.getValue(heading, i))
                    }
                }
            }
        } finally {
            Analyzer.setMeasurements(before)
        }
        decimals(result)
        showTable(result, 'Results', false, imp)
    }

    /** A second ImagePlus on the same pixels, without a window. */
    private static ImagePlus twin(ImagePlus imp) {
        ImagePlus twin
        if (imp.getStackSize() == 1) twin = new ImagePlus(imp.getTitle(), imp.getProcessor())
        else {
            twin = new ImagePlus(imp.getTitle(), imp.getStack())
            twin.setDimensions(imp.getNChannels(), imp.getNSlices(), imp.getNFrames())
            twin.setOpenAsHyperStack(imp.isHyperStack())
        }
        twin.setIgnoreGlobalCalibration(true)
        twin.setCalibration(imp.getCalibration())
        return twin
    }

    /** The slice of the stack at a ROI's place; a plain position is a slice, of a series of frames the frame. */
    private static int slice(ImagePlus imp, Roi roi, Integer channel) {
        boolean placed = roi.hasHyperStackPosition()
        Map place = placed ? [channel: roi.getCPosition(), slice: roi.getZPosition(), frame: roi.getTPosition()]
            : [channel: 0, slice: 0, frame: 0]
        Map counts = [slice: imp.getNSlices(), frame: imp.getNFrames(), channel: imp.getNChannels()]
        if (roi.getPosition() > 0 && !place.values().any()) place[axis(imp)] = roi.getPosition()
        place.each { along, number ->
            if (number > counts[along]) throw new Told("a ROI lies on ${along} ${number}, the image has ${counts[along]}")
        }
        if (channel != null && channel > counts.channel)
            throw new Told("channel ${channel}; the image has ${counts.channel}")
        return imp.getStackIndex(channel ?: place.channel ?: imp.getC(), place.slice ?: imp.getZ(), place.frame ?: imp.getT())
    }
}

/** Selects the ROI of an image's overlay that the clicked row of a table names. */
class Follower extends MouseAdapter {
    final Object panel
    final ImagePlus imp

    Follower(Object panel, ImagePlus imp) {
        this.panel = panel
        this.imp = imp
    }

    @Override
    void mouseReleased(MouseEvent event) {
        ResultsTable table = panel.getResultsTable()
        int row = panel.getSelectionStart()
        if (table == null || row < 0 || row >= table.size() || !table.columnExists('label') || imp.getProcessor() == null) return
        double number = table.getValue('label', row)
        String name = number == Math.rint(number) ? String.valueOf((long) number) : table.getStringValue('label', row)
        int position = table.columnExists('slice') ? (int) table.getValue('slice', row) : 0
        List<Roi> named = (imp.getOverlay()?.toArray() ?: []).findAll { it.getName() == name } as List<Roi>
        boolean frames = Bridge.axis(imp) == 'frame'
        Roi roi = named.find {
            position in [0, it.getPosition(), frames ? it.getTPosition() : it.getZPosition()]
        } ?: named[0]
        if (roi == null) {
            IJ.showStatus("no ROI '${name}' in the image")
            return
        }
        if (imp.isHyperStack()) imp.setPosition(roi.getCPosition() ?: imp.getC(), roi.getZPosition() ?: imp.getZ(), roi.getTPosition() ?: imp.getT())
        else if (roi.getPosition() in 1..imp.getStackSize()) imp.setPosition(roi.getPosition())
        imp.setRoi((Roi) roi.clone())
    }
}

new Bridge(python)
