import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;

/**
 * Requests by the standard input, results by the standard output.
 *
 * <p>Each line is a method, a URL, a timeout in seconds and a body, with tabs between them; each line of the output is
 * a status or an error.
 */
final class Lines {
    /** Sends one request, and returns its status. */
    interface Sender {
        int send(String method, String url, int milliseconds, String body) throws IOException;
    }

    private Lines() {}

    static void serve(Sender sender) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] fields = line.split("\t", -1);
            String result;
            try {
                int milliseconds = (int) (Double.parseDouble(fields[2]) * 1000);
                result = String.valueOf(sender.send(fields[0], fields[1], milliseconds, fields[3]));
            } catch (IOException error) {
                result = "error: " + error.getClass().getSimpleName();
            }
            System.out.println(result);
        }
    }
}
