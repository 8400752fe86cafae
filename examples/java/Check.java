/** A test framework of one line: the assert keyword would need -ea, and check nothing without it. */
final class Check {
    private Check() {}

    static void that(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }
}
