import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.stream.Collectors;
import mockanka.control.ApiClient;
import mockanka.control.ApiException;
import mockanka.control.api.ClockApi;
import mockanka.control.api.EntitiesApi;
import mockanka.control.api.FaultsApi;
import mockanka.control.api.MockApi;
import mockanka.control.api.RecordsApi;
import mockanka.control.api.StateApi;
import mockanka.control.model.Advance;
import mockanka.control.model.AdvanceUntil;
import mockanka.control.model.Delay;
import mockanka.control.model.DelayDistribution;
import mockanka.control.model.FaultAction;
import mockanka.control.model.FaultMatch;
import mockanka.control.model.FaultRule;
import mockanka.control.model.InstanceState;
import mockanka.control.model.JournalEntry;
import mockanka.control.model.NodeOverride;
import mockanka.control.model.Problem;
import mockanka.control.model.Reset;
import mockanka.control.model.ResetScenario;
import mockanka.control.model.UntilInstance;

/** Drives the control API through the client that openapi-generator generates, and prints what it saw. */
public class Main {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private static int send(HttpRequest.Builder request) throws Exception {
        return HTTP.send(request.build(), BodyHandlers.ofString()).statusCode();
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        String template = arguments[1];
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        FaultsApi faults = new FaultsApi(client);
        RecordsApi records = new RecordsApi(client);
        EntitiesApi entities = new EntitiesApi(client);

        System.out.println("health " + new MockApi(client).showHealth().getStatus().getValue());

        Delay delay = new Delay(new DelayDistribution().uniform(List.of("1ms", "2ms")));
        FaultRule rule = new FaultRule()
            .match(new FaultMatch().method(FaultMatch.MethodEnum.GET).path("/api/v1/status"))
            ._do(new FaultAction().status(503).delay(delay))
            .times(1);
        FaultRule added = faults.addFault(rule);
        System.out.println("added " + added.getId());
        URI status = URI.create(url + "/api/v1/status");
        int first = send(HttpRequest.newBuilder(status));
        System.out.println("status " + first + " " + send(HttpRequest.newBuilder(status)));
        System.out.println("fired " + faults.listFaults().getFaults().get(0).getFired());
        faults.removeFault(added.getId());

        try {
            faults.addFault(new FaultRule()._do(new FaultAction().exit(3)));
        } catch (ApiException refusal) {
            Problem problem = ApiClient.createDefaultObjectMapper().readValue(refusal.getResponseBody(), Problem.class);
            System.out.println("refused " + refusal.getCode() + " " + problem.getProblems().size());
        }

        String body = "{\"vmid\": \"" + template + "\"}";
        send(HttpRequest.newBuilder(URI.create(url + "/api/v1/vm")).POST(HttpRequest.BodyPublishers.ofString(body)));
        String path = "/api/v1/*";
        List<JournalEntry> journal =
            records.listRequests(null, path, null, null, null, null, null, null, null, null, null).getRequests();
        JournalEntry newest = journal.get(journal.size() - 1);
        String instance = newest.getInstances().get(0);
        System.out.println("requests " + journal.size() + " " + newest.getMethod() + " " + newest.getStatus()
            + " " + (newest.getFault() == null));

        UntilInstance until = new UntilInstance().instance(instance).state(InstanceState.STARTED);
        new ClockApi(client).advanceClock(new Advance().until(new AdvanceUntil(until)));
        System.out.println("timeline " + entities.showInstance(instance).getTimeline().stream()
            .map(entry -> entry.getState().getValue()).collect(Collectors.joining(" ")));

        System.out.println("node " + entities.setNodeState("mini-01", NodeOverride.UNHEALTHY, null).getState().getValue());
        System.out.println("finding " + records.showReport().getFindings().get(0).getKind().getValue());
        Reset reset = new Reset().scenario(new ResetScenario("busy"));
        System.out.println("reset " + new StateApi(client).reset(reset).getStatus().getValue());
    }
}
