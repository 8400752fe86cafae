import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/**
 * A small client of the Anka Build Cloud controller. It stands for your code, the code under test: nothing in it knows
 * of mockanka.
 */
final class Anka {
    record Instance(String state, String message, String hostIp) {}

    /** An answer of 503: the request was not carried out. */
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

    /** A client that sends starts again, at most so many times, and waits so long before that. */
    Anka(String url, int retries, Duration backoff) {
        this.url = url;
        this.retries = retries;
        this.backoff = backoff;
    }

    /**
     * Ask for an instance of a template; its id.
     *
     * <p>It is sent again after a 503 and after nothing else: when an answer is lost, an instance may have been
     * started, and sending it again may start another one.
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
        String answer = call("GET", "/api/v1/vm?id=" + id, "");
        // The envelope has a message as well, which comes first.
        String body = answer.substring(answer.indexOf("\"body\""));
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
        HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());
        if (answer.statusCode() == 503) {
            throw new Unavailable(method + " " + path);
        }
        // The envelope decides, not the HTTP status: failures come with 200 before release 1.20, and with 400 since.
        if (!Json.text(answer.body(), "status").equals("OK")) {
            throw new IOException(method + " " + path + ": " + Json.text(answer.body(), "message"));
        }
        return answer.body();
    }
}
