import java.io.StringReader;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Collection;
import java.util.Set;
import javax.net.ssl.KeyManager;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509TrustManager;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.ExtensionsGenerator;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/**
 * BouncyCastle's own EST client through the life of one certificate: cacerts, csrattrs, a refusal, simpleenroll with HTTP
 * Basic, simplereenroll with the certificate. Says one line for each; exits 1 with a stack trace at the first fault.
 *
 * <p>Arguments: host:port, file of the root in PEM, device, token, directory for the two certificates.
 */
public final class EstClient {
  private static final JcaX509CertificateConverter CONVERTER = new JcaX509CertificateConverter();

  public static void main(String[] arguments) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    String server = arguments[0];
    X509Certificate root = read(Path.of(arguments[1]));
    String device = arguments[2];
    char[] token = arguments[3].toCharArray();
    Path directory = Path.of(arguments[4]);

    ESTService anonymous = service(server, root, null);
    Collection<X509CertificateHolder> authorities = anonymous.getCACerts().getCertificateStore().getMatches(null);
    say("cacerts", authorities.size());

    Collection<ASN1ObjectIdentifier> attributes = anonymous.getCSRAttributes().getAttributesResponse().getRequirements();
    say("csrattrs", attributes.size());

    KeyPair firstKey = newKey();
    PKCS10CertificationRequest first = request(device, firstKey);
    ESTAuth wrong = new JcaHttpAuthBuilder(null, device, "not-the-token".toCharArray()).build();
    try {
      anonymous.simpleEnroll(false, first, wrong);
      throw new IllegalStateException("a wrong password was let in");
    } catch (ESTException refusal) {
      say("refused", refusal.getStatusCode());
    }

    ESTAuth password = new JcaHttpAuthBuilder(null, device, token).build();
    X509Certificate certificate = only(anonymous.simpleEnroll(false, first, password));
    certificate.checkValidity();
    Files.write(directory.resolve("first.der"), certificate.getEncoded());
    say("simpleenroll", certificate.getSubjectX500Principal().getName());

    KeyPair nextKey = newKey();
    ESTService authenticated = service(server, root, new Identity(firstKey.getPrivate(), certificate));
    X509Certificate next = only(authenticated.simpleEnroll(true, request(device, nextKey), null));
    if (!next.getPublicKey().equals(nextKey.getPublic())) throw new IllegalStateException("another key came back");
    Files.write(directory.resolve("second.der"), next.getEncoded());
    say("simplereenroll", next.getSubjectX500Principal().getName());

    try {
      anonymous.simpleEnroll(true, request(device, newKey()), null);
      throw new IllegalStateException("a renewal without a certificate was let in");
    } catch (ESTException refusal) {
      say("unauthenticated", refusal.getStatusCode());
    }
  }

  private static void say(String what, Object value) {
    System.out.println(what + " " + value);
  }

  private static X509Certificate read(Path file) throws Exception {
    try (PEMParser parser = new PEMParser(new StringReader(Files.readString(file)))) {
      return CONVERTER.getCertificate((X509CertificateHolder) parser.readObject());
    }
  }

  private static ESTService service(String server, X509Certificate root, KeyManager identity) throws Exception {
    X509TrustManager[] trust = JcaJceUtils.getCertPathTrustManager(Set.of(new TrustAnchor(root, null)), null);
    JsseESTServiceBuilder builder = new JsseESTServiceBuilder(server, trust).withTimeout(20_000);
    if (identity != null) builder.withKeyManager(identity);
    return builder.build();
  }

  private static KeyPair newKey() throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"));
    return generator.generateKeyPair();
  }

  private static PKCS10CertificationRequest request(String device, KeyPair key) throws Exception {
    ExtensionsGenerator extensions = new ExtensionsGenerator();
    String uri = "spiffe://everleaf.local/device/" + device;
    extensions.addExtension(
        Extension.subjectAlternativeName,
        false,
        new GeneralNames(new GeneralName(GeneralName.uniformResourceIdentifier, uri)));
    return new JcaPKCS10CertificationRequestBuilder(new X500Name("CN=" + device), key.getPublic())
        .addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, extensions.generate())
        .build(new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate()));
  }

  private static X509Certificate only(EnrollmentResponse response) throws Exception {
    Collection<X509CertificateHolder> all = response.getStore().getMatches(null);
    if (all.size() != 1) throw new IllegalStateException(all.size() + " certificates came back");
    return CONVERTER.getCertificate(all.iterator().next());
  }

  /** The device's key and certificate, whichever authorities the server names. */
  private static final class Identity extends X509ExtendedKeyManager {
    private final PrivateKey key;
    private final X509Certificate certificate;

    Identity(PrivateKey key, X509Certificate certificate) {
      this.key = key;
      this.certificate = certificate;
    }

    @Override
    public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
      return "device";
    }

    @Override
    public String[] getClientAliases(String type, Principal[] issuers) {
      return new String[] {"device"};
    }

    @Override
    public X509Certificate[] getCertificateChain(String alias) {
      return new X509Certificate[] {certificate};
    }

    @Override
    public PrivateKey getPrivateKey(String alias) {
      return key;
    }

    @Override
    public String[] getServerAliases(String type, Principal[] issuers) {
      return null;
    }

    @Override
    public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
      return null;
    }
  }
}
