package fijibridge.session;

import java.lang.invoke.MethodHandles;

/** Puts classes into ImageJ's own packages; a lookup needs a caller that was written in Java. */
public final class Definer {
    private Definer() {}

    public static Class<?> define(Class<?> neighbour, byte[] code) throws IllegalAccessException {
        return MethodHandles.privateLookupIn(neighbour, MethodHandles.lookup()).defineClass(code);
    }
}
