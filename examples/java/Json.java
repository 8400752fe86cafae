import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The parts of JSON that these examples need, because Java has no parser. Finds keys at any level and does not decode
 * escapes. Use a JSON library in your own tests.
 */
final class Json {
    private Json() {}

    /** Returns the first string with this key, or an empty string. */
    static String text(String json, String key) {
        List<String> found = all(json, key, "\"((?:[^\"\\\\]|\\\\.)*)\"");
        return found.isEmpty() ? "" : found.get(0);
    }

    /** Returns all whole numbers with this key. */
    static List<String> numbers(String json, String key) {
        return all(json, key, "(-?\\d+)");
    }

    /** Returns the first string in the list with this key, or an empty string. */
    static String firstOfList(String json, String key) {
        List<String> found = all(json, key, "\\[\\s*\"([^\"]*)\"");
        return found.isEmpty() ? "" : found.get(0);
    }

    /** Returns whether the list with this key is empty. */
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
