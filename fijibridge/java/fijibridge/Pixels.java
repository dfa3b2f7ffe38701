package fijibridge;

import java.nio.ByteBuffer;

/** Conversion of pixels between Java arrays and buffers. */
public final class Pixels {
    private Pixels() {}

    /** Copies a part of a byte[], short[], int[] or float[] into a buffer, starting at the buffer's position. */
    public static void put(ByteBuffer to, Object pixels, int first, int count) {
        if (pixels instanceof byte[]) to.put((byte[]) pixels, first, count);
        else if (pixels instanceof short[]) to.asShortBuffer().put((short[]) pixels, first, count);
        else if (pixels instanceof float[]) to.asFloatBuffer().put((float[]) pixels, first, count);
        else to.asIntBuffer().put((int[]) pixels, first, count);
    }

    /** Returns the pixels of a plane with type uint8, uint16 or float32; any other type means 32-bit integers. */
    public static Object get(ByteBuffer from, String type, int size) {
        switch (type) {
            case "uint8":
                byte[] bytes = new byte[size];
                from.get(bytes);
                return bytes;
            case "uint16":
                short[] shorts = new short[size];
                from.asShortBuffer().get(shorts);
                return shorts;
            case "float32":
                float[] floats = new float[size];
                from.asFloatBuffer().get(floats);
                return floats;
            default:
                int[] ints = new int[size];
                from.asIntBuffer().get(ints);
                return ints;
        }
    }
}
