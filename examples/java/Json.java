import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * As much of JSON as these examples need, which is little: Java brings no parser. It finds keys wherever they stand and
 * leaves escapes as they are. In your own tests use the library that you have.
 */
final class Json {
    private Json() {}

    /** The first text that has this key; empty if there is none. */
    static String text(String json, String key) {
        List<String> found = all(json, key, "\"((?:[^\"\\\\]|\\\\.)*)\"");
        return found.isEmpty() ? "" : found.get(0);
    }

    /** All whole numbers that have this key. */
    static List<String> numbers(String json, String key) {
        return all(json, key, "(-?\\d+)");
    }

    /** The first text of the list that has this key; empty if there is none. */
    static String firstOfList(String json, String key) {
        List<String> found = all(json, key, "\\[\\s*\"([^\"]*)\"");
        return found.isEmpty() ? "" : found.get(0);
    }

    /** Whether this key has an empty list. */
    static boolean isEmptyList(String json, String key) {
        return !all(json, key, "(\\[\\s*\\])").isEmpty();
    }

    private static List<String> all(String json, String key, String value) {
        Matcher matcher = Pattern.compile("\"" + Pattern.quote(key) + "\"\\s*:\\s*" + value).matcher(json);
        List<String> found = new ArrayList<>();
        while (matcher.find()) {
            found.add(matcher.group(1));
        }
        return found;
    }
}
