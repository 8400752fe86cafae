import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/** The tests, run by main one after the other, because they share one controller, which is reset before each test. */
final class AnkaTest {
    /** The id of the template 14.5-arm64 (28 GB), which is derived from the seed and the name and thus constant. */
    static final String TEMPLATE = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7";

    final Mock mock = new Mock(System.getenv("MOCKANKA_URL"));
    /** Simulated time does not pass while the client waits, so it retries without a pause. */
    final Anka client = new Anka(System.getenv("ANKA_CONTROLLER_URL"), 2, Duration.ZERO);

    void startGoesThroughAPull() throws Exception {
        Instant began = mock.now();

        String id = client.start(TEMPLATE, "job-1");
        mock.advanceUntil(id, "Pulling");
        Check.that(client.show(id).state().equals("Pulling"), "expected Pulling, got " + client.show(id).state());
        mock.advanceUntil(id, "Started");
        Check.that(!client.show(id).hostIp().isEmpty(), "the instance is Started, but has no address");
        Duration took = Duration.between(began, mock.now());
        Check.that(took.toMinutes() >= 3, "28 GB cannot have been pulled in " + took);

        client.terminate(id);
        mock.advanceUntil(id, "Terminated");
    }

    void startIsSentAgainAfterA503() throws Exception {
        mock.addFault("""
            {"match": {"method": "POST", "path": "/api/v1/vm"}, "do": {"status": 503}, "times": 1}""");

        String id = client.start(TEMPLATE, "job-1");
        Check.that(mock.starts() == 2, "the start was sent " + mock.starts() + " times");

        client.terminate(id);
    }

    void startEndsInAnErrorWhenItsPullFails() throws Exception {
        mock.addFault("""
            {"match": {"event": "pull"}, "do": {"fail": "request canceled", "at": "50%", "final": true}}""");

        String id = client.start(TEMPLATE, "job-1");
        mock.advanceUntil(id, "Error");
        String message = client.show(id).message();
        Check.that(message.contains("canceled"), "the message does not contain the reason: " + message);

        // An instance in Error still exists and has to be terminated as well.
        client.terminate(id);
    }

    void startFailsWhileTheControllerIsAway() throws Exception {
        mock.addFault("""
            {"id": "away", "match": {}, "do": {"refuse": "1m"}}""");

        try {
            client.start(TEMPLATE, "job-1");
            throw new AssertionError("the start succeeded although connections were refused");
        } catch (IOException expected) {
            // The control API has a separate port, which remains available.
            mock.removeFault("away");
        }
        Check.that(mock.starts() == 1, "the start was repeated; the first one may have started an instance");

        client.terminate(client.start(TEMPLATE, "job-1"));
    }

    interface Test {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        if (System.getenv("MOCKANKA_URL") == null) {
            System.err.println("run this with: mockanka run cold-cache --clock manual -- java -cp build AnkaTest");
            System.exit(2);
        }
        AnkaTest suite = new AnkaTest();
        Map<String, Test> tests = new LinkedHashMap<>();
        tests.put("start goes through a pull", suite::startGoesThroughAPull);
        tests.put("start is sent again after a 503", suite::startIsSentAgainAfterA503);
        tests.put("start ends in an error when its pull fails", suite::startEndsInAnErrorWhenItsPullFails);
        tests.put("start fails while the controller is away", suite::startFailsWhileTheControllerIsAway);

        int number = 0;
        int failed = 0;
        System.out.println("1.." + tests.size());
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            number++;
            try {
                suite.mock.reset();
                test.getValue().run();
                suite.mock.checkReport();
                System.out.println("ok " + number + " - " + test.getKey());
            } catch (Exception | AssertionError wrong) {
                failed++;
                System.out.println("not ok " + number + " - " + test.getKey() + "\n# " + wrong);
            }
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
