package fijibridge.session;

import java.lang.invoke.MethodHandles;

/** Defines classes in ImageJ's own packages. This needs Java code, because a Lookup needs a calling Java class. */
public final class Definer {
    private Definer() {}

    public static Class<?> define(Class<?> neighbour, byte[] code) throws IllegalAccessException {
        return MethodHandles.privateLookupIn(neighbour, MethodHandles.lookup()).defineClass(code);
    }
}
