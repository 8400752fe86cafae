import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Instant;
import java.util.List;

/** Steers mockanka by its control API. What it is refused is an AssertionError, so that tests read as a story. */
final class Mock {
    private final HttpClient http = HttpClient.newHttpClient();
    private final String url;

    Mock(String url) {
        this.url = url;
    }

    void reset() throws IOException, InterruptedException {
        ask("POST", "/_mock/reset", "");
    }

    /** Let time pass until an instance is in a state. The mock refuses if it can never get there. */
    void advanceUntil(String id, String state) throws IOException, InterruptedException {
        ask("POST", "/_mock/clock/advance", """
            {"until": {"instance": "%s", "state": "%s"}}""".formatted(id, state));
    }

    Instant now() throws IOException, InterruptedException {
        return Instant.parse(Json.text(ask("GET", "/_mock/clock", ""), "now"));
    }

    /** Put a fault rule in force. */
    void addFault(String rule) throws IOException, InterruptedException {
        ask("POST", "/_mock/faults", rule);
    }

    void removeFault(String id) throws IOException, InterruptedException {
        ask("DELETE", "/_mock/faults/" + id, "");
    }

    /** The number of starts that reached the controller, whatever became of them. */
    int starts() throws IOException, InterruptedException {
        return Json.numbers(ask("GET", "/_mock/requests?method=POST&path=/api/v1/vm", ""), "number").size();
    }

    /** Look at the report. It must be read before the next reset, which forgets it. */
    void findNoFault() throws IOException, InterruptedException {
        String report = ask("GET", "/_mock/report", "");
        // Leaks, polls that come too fast, and whatever else the client did wrong.
        Check.that(Json.isEmptyList(report, "findings"), report);
        Check.that(Json.isEmptyList(report, "unused_faults"), "a fault never struck, so nothing was tested by it");
    }

    private String ask(String method, String path, String body) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path))
                .method(method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());
        // A refusal is problem+json, and says why.
        Check.that(answer.statusCode() < 300, method + " " + path + ": " + answer.body());
        return answer.body();
    }
}
