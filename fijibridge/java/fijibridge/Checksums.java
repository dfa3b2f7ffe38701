package fijibridge;

import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.IntStream;
import java.util.zip.CRC32;

/** Checksums of planes, which are used to detect changed pixels. */
public final class Checksums {
    private static final int CHUNK = 1 << 18;

    private Checksums() {}

    /** Returns the checksum of each plane. */
    public static int[] of(Object[] planes) {
        int[] sums = new int[planes.length];
        IntStream.range(0, sums.length).parallel().forEach(i -> sums[i] = of(planes[i]));
        return sums;
    }

    /** Returns the CRC-32 of a byte[], short[], int[] or float[], in the byte order of the machine. */
    public static int of(Object pixels) {
        CRC32 sum = new CRC32();
        if (pixels instanceof byte[]) {
            sum.update((byte[]) pixels, 0, ((byte[]) pixels).length);
            return (int) sum.getValue();
        }
        // CRC32 accepts only bytes; copying blocks through a buffer is several times faster than splitting each number
        ByteBuffer bytes = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.nativeOrder());
        int width = pixels instanceof short[] ? 2 : 4, length = Array.getLength(pixels);
        for (int first = 0; first < length; first += CHUNK / width) {
            int count = Math.min(CHUNK / width, length - first);
            bytes.clear();
            Pixels.put(bytes, pixels, first, count);
            bytes.position(0);
            bytes.limit(count * width);
            sum.update(bytes);
        }
        return (int) sum.getValue();
    }
}
