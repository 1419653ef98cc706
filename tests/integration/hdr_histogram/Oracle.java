// Oracle FILE QUANTILE...: what HdrHistogram, with three significant digits, says of the numbers in the file, one per line:
// count, maximum, mean, and the value at each of the quantiles that follow on the command line.
import java.nio.file.Files;
import java.nio.file.Path;
import org.HdrHistogram.Histogram;

public class Oracle {
  public static void main(String[] arguments) throws Exception {
    Histogram histogram = new Histogram(1L << 50, 3);
    try (var lines = Files.lines(Path.of(arguments[0]))) {
      lines.forEach(line -> histogram.recordValue(Long.parseLong(line)));
    }
    System.out.println(histogram.getTotalCount());
    System.out.println(histogram.getMaxValue());
    System.out.println(histogram.getMean());
    for (int i = 1; i < arguments.length; ++i)
      System.out.println(histogram.getValueAtPercentile(100 * Double.parseDouble(arguments[i])));
  }
}
