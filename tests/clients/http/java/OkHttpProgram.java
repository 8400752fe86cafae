import java.io.IOException;
import java.util.concurrent.TimeUnit;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/** Sends requests with OkHttp as it is by default. */
public final class OkHttpProgram {
    public static void main(String[] arguments) throws IOException {
        OkHttpClient client = new OkHttpClient();
        Lines.serve((method, url, milliseconds, body) -> {
            RequestBody content = body.isEmpty() ? null : RequestBody.create(body, MediaType.get("application/json"));
            Request request = new Request.Builder().url(url).method(method, content).build();
            OkHttpClient limited = client.newBuilder().readTimeout(milliseconds, TimeUnit.MILLISECONDS).build();
            try (Response response = limited.newCall(request).execute()) {
                response.body().bytes();
                return response.code();
            }
        });
        client.dispatcher().executorService().shutdown();
        client.connectionPool().evictAll();
    }
}
