/*
 * What the scripts in Fiji's menu share: one Python process for all of them, and what crosses to it and back.
 *
 * The scripts load this file from the environment that they were installed from, once for each Fiji: see perform().
 * Images, ROIs and tables cross in shared memory, which both sides free; the rest is Appose's protocol, of which
 * fijibridge/fiji/worker.py is the other end.
 */
import groovy.transform.CompileStatic
import ij.CompositeImage
import ij.IJ
import ij.ImagePlus
import ij.ImageStack
import ij.WindowManager
import ij.gui.ImageRoi
import ij.gui.Overlay
import ij.gui.Plot
import ij.gui.Roi
import ij.io.RoiDecoder
import ij.io.RoiEncoder
import ij.macro.Interpreter
import ij.measure.Calibration
import ij.measure.Measurements
import ij.measure.ResultsTable
import ij.plugin.filter.Analyzer
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
import java.awt.event.MouseAdapter
import java.awt.event.MouseEvent
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import java.util.stream.IntStream

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
     * Calls a verb with the values of a script's parameters.
     *
     * @param verb name of the verb
     * @param version of fijibridge, by which the script was made
     * @param images names of the parameters that are images
     * @param cells names of the parameters that are label images, or say where cells are drawn
     * @param values of all parameters, by name
     */
    void perform(String verb, String version, List<String> images, List<String> cells, Map<String, Object> values) {
        working.incrementAndGet()
        List<NDArray> sent = []
        try {
            IJ.resetEscape()
            Service worker = worker(version)
            Map<String, ImagePlus> open = [:]
            Map told = taken(images, cells, values, open, sent)
            Map given = values.findAll { it.key !in images && it.key !in cells }.collectEntries { [it.key, plain(it.value)] }
            Map inputs = [given: given.findAll { it.value != null }, images: told]
            try {
                receive(worker, worker.task(verb, inputs), open)
            } catch (Gone gone) {
                // killed a moment ago, it still looked alive
                leave(worker)
                worker = this.worker(version)
                receive(worker, worker.task(verb, inputs), open)
            }
        } catch (Stopped stopped) {
            IJ.showStatus("FijiBridge: ${stopped.message}")
            refuse(stopped.message, false)
        } catch (Told error) {
            refuse(error.message, true)
        } catch (Exception error) {
            StringWriter trace = new StringWriter()
            error.printStackTrace(new PrintWriter(trace))
            IJ.log("FijiBridge: ${trace}")
            refuse("${error.class.simpleName}: ${error.message} (all of it is in the log)", true)
        } finally {
            sent.each { it.close() }
            working.decrementAndGet()
            IJ.showProgress(1.0d)
        }
    }

    /** Tells a person in a dialog, a macro and a script by ending them. */
    private static void refuse(String message, boolean dialog) {
        boolean macro = Interpreter.getInstance() != null && calledByMacro()
        if (macro) Interpreter.getInstance().abort(message)
        if (macro || GraphicsEnvironment.isHeadless() || IJ.getInstance() == null) throw new RuntimeException(message)
        if (dialog) IJ.error('FijiBridge', message)
    }

    /**
     * Whether a macro waits for this call, and not for something else, or for nothing: ImageJ keeps but one interpreter
     * for all threads. Fiji runs a script in a thread of its own, for which the macro's waits there.
     */
    private static boolean calledByMacro() {
        boolean here = Thread.currentThread().getStackTrace().any { it.className == 'ij.macro.Interpreter' }
        return here || Thread.getAllStackTraces().values().any { frames ->
            int run = frames.findIndexOf { it.className == 'ij.macro.Functions' && it.methodName == 'doRun' }
            frames.take(run < 0 ? 0 : run).any { it.methodName == 'runLegacyCompatibleCommand' }
        }
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
        Service started = new Service(new File(System.getProperty('user.dir')), python, '-P', '-m', 'fijibridge.fiji.worker')
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

    private void receive(Service python, Service.Task task, Map<String, ImagePlus> open) {
        List<NDArray> came = []
        try {
            List results = attached(await(python, task).results, came)
            synchronized (SHOWING) {
                results.each { show(it, open) }
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

    private static Object plain(Object value) {
        if (value instanceof File) return value.getPath() ? value.getAbsolutePath() : null
        if (value instanceof CharSequence) return value.toString().trim() ?: null
        return value
    }

    /** Describes the inputs, with their pixels or ROIs; `open` gets the image of each, by parameter. */
    private static Map taken(List<String> images, List<String> cells, Map values, Map<String, ImagePlus> open, List sent) {
        Map told = [:]
        images.each { name ->
            ImagePlus imp = named(values[name])
            if (imp != null) open[name] = imp
        }
        Map<String, String> drawn = [:]
        cells.each { name ->
            String title = values[name] instanceof ImagePlus ? null : (values[name] ?: '').toString().trim()
            if (title?.toLowerCase() in ['roi manager', 'overlay']) drawn[name] = title.toLowerCase()
            else if (title != '') open[name] = named(values[name])
        }
        open.each { name, imp -> told[name] = described(imp) + [blocks: Memory.send(imp, type(imp), sent)] }
        ImagePlus first = open ? open.values()[0] : WindowManager.getCurrentImage()
        drawn.each { name, where ->
            if (first == null) throw new Told("${name}: the cells are those of the ${where}, but of which image? Open it")
            open[name] = first
            told[name] = described(first) + [rois: encoded(rois(first, where), sent)]
        }
        return told
    }

    /** The open image of a title or an id; null for nothing. */
    private static ImagePlus named(Object value) {
        if (value instanceof ImagePlus && value.getProcessor() == null) throw new Told("'${value.getTitle()}' is closed")
        if (value == null || value instanceof ImagePlus) return value
        String title = value.toString().trim()
        if (!title) return null
        List<ImagePlus> titled = openImages().findAll { it.getTitle() == title }
        if (titled.size() > 1)
            throw new Told("'${title}' means ${titled.size()} open images: say which by its id, one of ${titled*.getID().join(', ')}")
        ImagePlus imp = titled ? titled[0] : title ==~ /-\d+/ ? WindowManager.getImage(title as int) : null
        if (imp == null)
            throw new Told("no image '${title}' is open; there are ${openImages()*.getTitle().collect { "'${it}'" }.join(', ') ?: 'none'}")
        return imp
    }

    private static List<ImagePlus> openImages() {
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
        if (where == 'overlay') return (imp.getOverlay()?.toArray() ?: []).findAll { it.getName() != PAINT } as List<Roi>
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

    private static void show(Map told, Map<String, ImagePlus> open) {
        switch (told.kind) {
            case 'image': showImage(told); break
            case 'outlines': outline(told, still(open, told.over)); break
            case 'table': showTable(table(told), told.name, told.add, told.select_in == null ? null : open[told.select_in]); break
            case 'curves': plot(told); break
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

    private static void showImage(Map told) {
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
        ImagePlus shown = inWindow(imp)
        if (told.first != null) shown.setC(told.first)
        if (told.paint) shown.setOverlay(painted(planes, told))
        else if (shown.getOverlay()?.toArray()?.any { it.getName() == PAINT }) shown.setOverlay(null)
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
        made.setTitle(free(made.getTitle()))  // what is drawn by hand may be called so
        made.setProperty(RESULT, made.getTitle())
        ImagePlus there = openImages().find { it.getTitle() == made.getTitle() }
        if (there == null) {
            made.show()
            return made
        }
        boolean same = Arrays.equals(there.getDimensions(true), made.getDimensions(true))
        if (same) made.setOverlay(there.getOverlay())
        if (there.isComposite() != made.isComposite() || (there.getWindow() != null && !same)) {
            def where = there.getWindow()?.getLocation()
            there.changes = false
            there.close()
            made.show()
            if (where != null) made.getWindow()?.setLocation(where)
            return made
        }
        double low = made.getDisplayRangeMin(), high = made.getDisplayRangeMax()
        Roi selection = there.getRoi()
        there.setImage(made)
        if (!there.isComposite() && there.getType() != ImagePlus.COLOR_RGB) there.setDisplayRange(low, high)
        if (selection != null) there.setRoi(selection)
        there.changes = false
        there.updateAndDraw()
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
        panel.getMouseListeners().findAll { it instanceof Follower }.each { panel.removeMouseListener(it) }
        if (imp != null) panel.addMouseListener(new Follower(panel, imp))
    }

    private static void plot(Map told) {
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
    }

    // --- measuring, as fijibridge/fiji/measuring.py does it -----------------------------------------

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
