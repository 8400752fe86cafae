import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/**
 * A small client of the Anka Build Cloud controller. It stands for the code under test and does not depend on mockanka.
 */
final class Anka {
    record Instance(String state, String message, String hostIp) {}

    /** A 503 response: the request was not carried out. */
    static final class Unavailable extends IOException {
        private static final long serialVersionUID = 1;

        Unavailable(String what) {
            super(what + ": the controller is unavailable");
        }
    }

    private final HttpClient http = HttpClient.newHttpClient();
    private final String url;
    private final int retries;
    private final Duration backoff;

    /** Creates a client that repeats a start up to {@code retries} times, each time after {@code backoff}. */
    Anka(String url, int retries, Duration backoff) {
        this.url = url;
        this.retries = retries;
        this.backoff = backoff;
    }

    /**
     * Starts an instance of a template and returns its id.
     *
     * <p>The request is repeated after a 503 only. If a response is lost, the instance may exist already, and repeating
     * the request may start a second one.
     */
    String start(String template, String job) throws IOException, InterruptedException {
        String body = """
            {"vmid": "%s", "external_id": "%s"}""".formatted(template, job);
        for (int attempt = 0; ; attempt++) {
            try {
                return Json.firstOfList(call("POST", "/api/v1/vm", body), "body");
            } catch (Unavailable unavailable) {
                if (attempt == retries) {
                    throw unavailable;
                }
                Thread.sleep(backoff.toMillis());
            }
        }
    }

    Instance show(String id) throws IOException, InterruptedException {
        String response = call("GET", "/api/v1/vm?id=" + id, "");
        // Skip the envelope, which has a message as well.
        String body = response.substring(response.indexOf("\"body\""));
        return new Instance(
                Json.text(body, "instance_state"), Json.text(body, "message"), Json.text(body, "host_ip"));
    }

    void terminate(String id) throws IOException, InterruptedException {
        call("DELETE", "/api/v1/vm", """
            {"id": "%s"}""".formatted(id));
    }

    private String call(String method, String path, String body) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path))
                .method(method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        if (response.statusCode() == 503) {
            throw new Unavailable(method + " " + path);
        }
        // Check the envelope, not the HTTP status: failures have status 200 before release 1.20, and 400 from then on.
        if (!Json.text(response.body(), "status").equals("OK")) {
            throw new IOException(method + " " + path + ": " + Json.text(response.body(), "message"));
        }
        return response.body();
    }
}
