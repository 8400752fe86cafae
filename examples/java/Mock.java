import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Instant;
import java.util.List;

/** A client of mockanka's control API. A failed request is an AssertionError, so tests need no error handling. */
final class Mock {
    private final HttpClient http = HttpClient.newHttpClient();
    private final String url;

    Mock(String url) {
        this.url = url;
    }

    void reset() throws IOException, InterruptedException {
        call("POST", "/_mock/reset", "");
    }

    /** Advances the clock until an instance is in a state. Fails if the instance can never reach it. */
    void advanceUntil(String id, String state) throws IOException, InterruptedException {
        call("POST", "/_mock/clock/advance", """
            {"until": {"instance": "%s", "state": "%s"}}""".formatted(id, state));
    }

    Instant now() throws IOException, InterruptedException {
        return Instant.parse(Json.text(call("GET", "/_mock/clock", ""), "now"));
    }

    /** Adds a fault rule. */
    void addFault(String rule) throws IOException, InterruptedException {
        call("POST", "/_mock/faults", rule);
    }

    void removeFault(String id) throws IOException, InterruptedException {
        call("DELETE", "/_mock/faults/" + id, "");
    }

    /** Returns the number of starts that reached the controller, successful or not. */
    int starts() throws IOException, InterruptedException {
        return Json.numbers(call("GET", "/_mock/requests?method=POST&path=/api/v1/vm", ""), "number").size();
    }

    /** Checks the report. Call it before the next reset, which clears the report. */
    void checkReport() throws IOException, InterruptedException {
        String report = call("GET", "/_mock/report", "");
        // Everything that the client did wrong, such as leaks and polls that are too fast.
        Check.that(Json.isEmptyList(report, "findings"), report);
        Check.that(Json.isEmptyList(report, "unused_faults"), "a fault never fired, so the test did not test it");
    }

    private String call(String method, String path, String body) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path))
                .method(method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        // An error is problem+json, which contains the reason.
        Check.that(response.statusCode() < 300, method + " " + path + ": " + response.body());
        return response.body();
    }
}
