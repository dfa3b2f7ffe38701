package fijibridge.foreign;

import fijibridge.Pixels;
import fijibridge.UserError;
import ij.ImagePlus;
import ij.ImageStack;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apposed.appose.NDArray;
import org.apposed.appose.SharedMemory;

/** Blocks of shared memory, which transfer the pixels and other numbers of one call and are freed when it ends. */
final class Blocks implements AutoCloseable {
    /** Maximum size of a block of several planes in bytes. Java's buffers are limited to 2 GiB. */
    private static final long LARGEST = 1L << 30;
    private static final int CHUNK = 1 << 18;
    private static final SecureRandom RANDOM = new SecureRandom();

    /** Folder of shared memory on Linux, a separate file system. Writing to a full one would crash the process. */
    private static final File PLACE = new File("/dev/shm");

    private final List<NDArray> blocks = new ArrayList<>();
    private final List<Path> files = new ArrayList<>();

    @Override
    public void close() {
        for (NDArray block : blocks) block.close();
        for (Path file : files) file.toFile().delete();
    }

    private NDArray make(String type, int... shape) {
        NDArray.DType of = NDArray.DType.fromLabel(type);
        NDArray.Shape counts = shapeOf(shape);
        NDArray block = PLACE.isDirectory()
            ? new NDArray(of, counts, ownFile(counts.numElements() * of.bytesPerElement())) : new NDArray(of, counts);
        blocks.add(block);
        return block;
    }

    /**
     * Creates a block that other users cannot read; Appose's own blocks can be read by all. The name tells
     * fijibridge/worker/shared_memory.py which process made it, so that it is removed if that process was killed.
     */
    private SharedMemory ownFile(long size) {
        try {
            String space = Files.readSymbolicLink(Paths.get("/proc/self/ns/pid")).toString().replaceAll("\\D", "");
            String process = Paths.get("/proc/self").toRealPath().getFileName().toString();
            String name = "psm_fijibridge_" + space + "_" + process + "_" + Long.toHexString(RANDOM.nextLong());
            Path file = PLACE.toPath().resolve(name);
            Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            files.add(file);
            try (RandomAccessFile opened = new RandomAccessFile(file.toFile(), "rw")) {
                opened.setLength(size);
            }
            return SharedMemory.attach(name, size);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static NDArray.Shape shapeOf(int... counts) {
        return new NDArray.Shape(NDArray.Shape.Order.C_ORDER, counts);
    }

    // --- to Python ----------------------------------------------------------------------------------

    /** Copies a byte[] or int[] into a new block. */
    NDArray put(String type, Object values, int size) {
        NDArray block = make(type, size);
        Pixels.put(block.buffer().order(ByteOrder.nativeOrder()), values, 0, size);
        return block;
    }

    /** Copies the planes of a stack into new blocks, as many into each as fit. */
    List<NDArray> put(ImagePlus imp) {
        String type = type(imp);
        int width = imp.getWidth(), height = imp.getHeight(), planes = imp.getStackSize(), bytes = bytes(type);
        long plane = (long) width * height * bytes;
        refuseTooLarge(imp, plane, planes);
        ImageStack stack = imp.getStack();
        boolean virtual = stack.isVirtual();
        // the stack of a single-plane image may contain an older array than its processor
        Object alone = planes == 1 && !virtual ? imp.getProcessor().getPixels() : null;
        int several = (int) Math.max(1, LARGEST / plane);
        List<NDArray> made = new ArrayList<>();
        for (int first = 0; first < planes; first += several) {
            int begin = first, count = Math.min(several, planes - first);
            NDArray block = make(type, count, height, width);
            made.add(block);
            File file = new File(PLACE, block.shm().name());
            try (FileChannel channel = file.isFile() ? new RandomAccessFile(file, "rw").getChannel() : null) {
                ByteBuffer all = channel == null ? block.buffer() : null;
                IntStream range = IntStream.range(0, count);
                (virtual ? range : range.parallel()).forEach(i -> {
                    Object pixels = alone == null ? stack.getPixels(begin + i + 1) : alone;
                    if (pixels == null) throw new UserError("'" + imp.getTitle() + "' was closed while it was read");
                    if (channel == null) Pixels.put(part(all, i * plane, plane), pixels, 0, width * height);
                    else write(channel, i * plane, pixels, width * height, bytes);
                });
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
        return made;
    }

    private static String type(ImagePlus imp) {
        switch (imp.getType()) {
            case ImagePlus.GRAY16: return "uint16";
            case ImagePlus.GRAY32: return "float32";
            case ImagePlus.COLOR_RGB: return "uint32";
            default: return "uint8";
        }
    }

    private static int bytes(String type) {
        return type.equals("uint8") ? 1 : type.equals("uint16") ? 2 : 4;
    }

    private static void refuseTooLarge(ImagePlus imp, long plane, int planes) {
        if (plane > Integer.MAX_VALUE)
            throw new UserError("a plane of " + imp.getWidth() + " x " + imp.getHeight()
                + " pixels exceeds the limit of 2 GiB: use a part of the image");
        long needed = plane * planes;
        if (PLACE.isDirectory() && PLACE.getUsableSpace() < needed)
            throw new UserError("'" + imp.getTitle() + "' has " + (needed >> 20) + " MiB, but " + PLACE + " has only "
                + (PLACE.getUsableSpace() >> 20) + " MiB free: enlarge it (in a container: --shm-size), or use a "
                + "part of the image");
    }

    /** Writes pixels to the file of a block on Linux, because writing to memory would cause a fault for each page. */
    private static void write(FileChannel to, long at, Object pixels, int size, int width) {
        ByteBuffer some = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.nativeOrder());
        for (int first = 0; first < size; first += CHUNK / width) {
            int count = Math.min(CHUNK / width, size - first);
            some.clear();
            Pixels.put(some, pixels, first, count);
            some.position(0);
            some.limit(count * width);
            try {
                while (some.hasRemaining()) to.write(some, at + (long) first * width + some.position());
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private static ByteBuffer part(ByteBuffer all, long from, long size) {
        ByteBuffer one = all.duplicate();
        one.limit((int) (from + size));
        one.position((int) from);
        return one.slice().order(ByteOrder.nativeOrder());
    }

    // --- from Python --------------------------------------------------------------------------------

    /** Replaces descriptions of blocks in a message with blocks, at any depth. Some versions of Appose skip lists. */
    Object attached(Object value) {
        if (value instanceof List) {
            List<Object> found = new ArrayList<>();
            for (Object part : (List<?>) value) found.add(attached(part));
            return found;
        }
        if (!(value instanceof Map)) return value;
        Map<?, ?> map = (Map<?, ?>) value;
        if (map.containsKey("block")) return attach(map);
        Map<String, Object> found = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : map.entrySet()) found.put(entry.getKey().toString(), attached(entry.getValue()));
        return found;
    }

    private NDArray attach(Map<?, ?> description) {
        String name = (String) description.get("block");
        long size = ((Number) description.get("size")).longValue();
        // if a block was freed with its process, attaching would create it again, and reading would crash this process
        if (PLACE.isDirectory() && new File(PLACE, name).length() < size)
            throw new UserError("the Python process of FijiBridge ended before its results were read. The next call "
                + "starts a new one");
        List<?> counts = (List<?>) description.get("shape");
        int[] shape = new int[counts.size()];
        for (int i = 0; i < shape.length; i++) shape[i] = ((Number) counts.get(i)).intValue();
        NDArray block = new NDArray(NDArray.DType.fromLabel((String) description.get("dtype")),
            shapeOf(shape), SharedMemory.attach(name, size));
        blocks.add(block);
        return block;
    }

    /** Copies the planes of blocks into new arrays. */
    static Object[] planes(List<?> blocks, int size) {
        List<ByteBuffer> parts = new ArrayList<>();
        NDArray.DType type = ((NDArray) blocks.get(0)).dType();
        long plane = (long) size * type.bytesPerElement();
        for (Object block : blocks) {
            ByteBuffer buffer = ((NDArray) block).buffer();
            for (int i = 0; i < ((NDArray) block).shape().get(0); i++) parts.add(part(buffer, i * plane, plane));
        }
        Object[] planes = new Object[parts.size()];
        IntStream all = IntStream.range(0, planes.length).parallel();
        all.forEach(i -> planes[i] = Pixels.get(parts.get(i), type.label(), size));
        return planes;
    }

    static byte[] bytes(Object block) {
        return block == null ? new byte[0] : (byte[]) numbers((NDArray) block, "uint8");
    }

    static int[] ints(Object block) {
        return block == null ? new int[0] : (int[]) numbers((NDArray) block, "int32");
    }

    private static Object numbers(NDArray block, String type) {
        return Pixels.get(block.buffer().order(ByteOrder.nativeOrder()), type, block.shape().get(0));
    }

    /** Returns the rows of a block. */
    static double[][] doubles(Object block) {
        if (block == null) return new double[0][0];
        NDArray array = (NDArray) block;
        double[][] rows = new double[array.shape().get(0)][array.shape().get(1)];
        DoubleBuffer all = array.buffer().order(ByteOrder.nativeOrder()).asDoubleBuffer();
        for (double[] row : rows) all.get(row);
        return rows;
    }
}
