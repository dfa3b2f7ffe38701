package fijibridge.session;

import java.lang.invoke.MethodHandles;

/** Defines classes in ImageJ's own packages. This is Java code, because a Lookup needs a Java class that calls it. */
public final class Definer {
    private Definer() {}

    public static Class<?> define(Class<?> neighbour, byte[] code) throws IllegalAccessException {
        return MethodHandles.privateLookupIn(neighbour, MethodHandles.lookup()).defineClass(code);
    }
}
