import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.http.client.config.RequestConfig;
import org.apache.http.client.methods.CloseableHttpResponse;
import org.apache.http.client.methods.HttpEntityEnclosingRequestBase;
import org.apache.http.client.methods.HttpGet;
import org.apache.http.client.methods.HttpRequestBase;
import org.apache.http.entity.ContentType;
import org.apache.http.entity.StringEntity;
import org.apache.http.impl.client.CloseableHttpClient;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.util.EntityUtils;

/** Sends requests with Apache HttpClient 4 as it is by default; bodies are sent with any method. */
public final class ApacheProgram {
    /** A request with a body, also for DELETE, which HttpDelete cannot have. */
    private static final class RequestWithBody extends HttpEntityEnclosingRequestBase {
        private final String method;

        RequestWithBody(String method, String body) {
            this.method = method;
            setEntity(new StringEntity(body, ContentType.APPLICATION_JSON.withCharset(StandardCharsets.ISO_8859_1)));
        }

        @Override
        public String getMethod() {
            return method;
        }
    }

    public static void main(String[] arguments) throws IOException {
        try (CloseableHttpClient client = HttpClients.createDefault()) {
            Lines.serve((method, url, milliseconds, body) -> {
                HttpRequestBase request = body.isEmpty() ? new HttpGet() : new RequestWithBody(method, body);
                request.setURI(java.net.URI.create(url));
                request.setConfig(RequestConfig.custom().setSocketTimeout(milliseconds).build());
                try (CloseableHttpResponse response = client.execute(request)) {
                    EntityUtils.consume(response.getEntity());
                    return response.getStatusLine().getStatusCode();
                }
            });
        }
    }
}
