/* TLS and mutual TLS between our client and server, with certificates made here. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpc/test_world.h"

static char folder[] = "/tmp/perdure_tls_XXXXXX";
static char ca_path[100], server_path[100], client_path[100], other_path[100];

/* Writes certificate and key into one file. issuer NULL: signs itself. */
static void write_certificate(char *path, const char *name, X509 *issuer, EVP_PKEY *issuer_key,
                              X509 **ret_cert, EVP_PKEY **ret_key) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  (void)X509_set_version(x, 2);
  static long serial;
  (void)ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  (void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  (void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                   (const unsigned char *)name, -1, -1, 0);
  (void)X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
  (void)X509_set_pubkey(x, key);
  char alt[100];
  (void)snprintf(alt, sizeof alt, "DNS:%s", name);
  X509_EXTENSION *e = issuer ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt)
                             : X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
  (void)X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
  assert_true(X509_sign(x, issuer ? issuer_key : key, EVP_sha256()) > 0);
  (void)snprintf(path, 100, "%s/%s.pem", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  (void)PEM_write_X509(f, x);
  (void)PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
  (void)fclose(f);
  *ret_cert = x;
  *ret_key = key;
}

static void drop(X509 *x, EVP_PKEY *key) {
  X509_free(x);
  EVP_PKEY_free(key);
}

static int make_certificates(void **state) {
  X509 *ca, *x, *other;
  EVP_PKEY *ca_key, *key, *other_key;
  assert_non_null(mkdtemp(folder));
  write_certificate(ca_path, "ca", NULL, NULL, &ca, &ca_key);
  write_certificate(server_path, "server.test", ca, ca_key, &x, &key);
  drop(x, key);
  write_certificate(client_path, "client.test", ca, ca_key, &x, &key);
  drop(x, key);
  write_certificate(other_path, "other", NULL, NULL, &other, &other_key);
  drop(other, other_key);
  drop(ca, ca_key);
  return 0;
}

static int remove_certificates(void **state) {
  (void)unlink(ca_path);
  (void)unlink(server_path);
  (void)unlink(client_path);
  (void)unlink(other_path);
  return rmdir(folder);
}

static void expect(world *w, err_code code) {
  answer a;
  world_ask(w, "Echo", SPAN("secret"), true, &a);
  if (a.code != code) fail_msg("%s: %s", err_code_name(a.code), a.what);
  if (code == ERR_OK) assert_span(buf_span(&a.message), "secret");
  answer_release(&a);
}

TEST(tls_carries_calls) {
  const rpc_tls tls = {server_path, server_path, NULL};
  const rpc_client_tls client = {.ca_path = ca_path, .server_name = "server.test"};
  world *w = world_new(NULL, &tls, &client);
  expect(w, ERR_OK);
  answer a;
  world_ask(w, "Huge", SPAN(""), true, &a);
  assert_int_equal(a.message.n, 1024 * 1024);
  answer_release(&a);
  world_call(w, "Park", SPAN(""), 50, false, &a);
  world_run_until_gone(w, 1);
  assert_int_equal(a.code, ERR_DEADLINE_EXCEEDED);
  answer_release(&a);
  world_free(w);
}

TEST(the_client_checks_authority_and_name) {
  const rpc_tls tls = {server_path, server_path, NULL};
  const rpc_client_tls wrong_name = {.ca_path = ca_path, .server_name = "another.test"};
  world *w = world_new(NULL, &tls, &wrong_name);
  expect(w, ERR_UNAVAILABLE);
  world_free(w);
  const rpc_client_tls wrong_ca = {.ca_path = other_path, .server_name = "server.test"};
  w = world_new(NULL, &tls, &wrong_ca);
  expect(w, ERR_UNAVAILABLE);
  world_free(w);
}

TEST(mutual_tls_wants_a_certificate_of_its_authority) {
  const rpc_tls tls = {server_path, server_path, ca_path};
  rpc_client_tls client = {.ca_path = ca_path, .server_name = "server.test"};
  world *w = world_new(NULL, &tls, &client);
  expect(w, ERR_UNAVAILABLE);
  world_free(w);
  client.cert_path = client.key_path = client_path;
  w = world_new(NULL, &tls, &client);
  expect(w, ERR_OK);
  world_free(w);
  client.cert_path = client.key_path = other_path;
  w = world_new(NULL, &tls, &client);
  expect(w, ERR_UNAVAILABLE);
  world_free(w);
}

TEST(cleartext_to_a_tls_port_and_back_fails_cleanly) {
  const rpc_tls tls = {server_path, server_path, NULL};
  const rpc_client_tls client = {.ca_path = ca_path, .server_name = "server.test"};
  world *w = world_new(NULL, &tls, NULL);
  expect(w, ERR_UNAVAILABLE);
  world_free(w);
  w = world_new(NULL, NULL, &client);
  expect(w, ERR_UNAVAILABLE);
  world_free(w);
}

TEST(wrong_files_are_named) {
  uv_loop_t loop;
  arena a = ARENA_INIT;
  rpc_server *s;
  (void)uv_loop_init(&loop);
  rpc_tls tls = {"/nonexistent.pem", "/nonexistent.pem", NULL};
  err *e = rpc_server_new(&loop, "127.0.0.1", 0, &tls, NULL, &world_service, 1, &a, &s);
  assert_non_null(strstr(e->what, "cannot use the certificate file /nonexistent.pem"));
  tls = (rpc_tls){server_path, client_path, NULL};
  e = rpc_server_new(&loop, "127.0.0.1", 0, &tls, NULL, &world_service, 1, &a, &s);
  assert_non_null(strstr(e->what, client_path));
  tls = (rpc_tls){server_path, server_path, "/nonexistent-ca.pem"};
  e = rpc_server_new(&loop, "127.0.0.1", 0, &tls, NULL, &world_service, 1, &a, &s);
  assert_non_null(strstr(e->what, "cannot use the CA file /nonexistent-ca.pem"));
  (void)uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&loop), 0);
  arena_release(&a);
}

static void copy_file(const char *from, const char *to) {
  char text[8192];
  FILE *f = fopen(from, "r");
  size_t n = fread(text, 1, sizeof text, f);
  (void)fclose(f);
  f = fopen(to, "w");
  (void)fwrite(text, 1, n, f);
  (void)fclose(f);
}

TEST(reload_takes_new_files_for_new_connections) {
  char live[120];
  (void)snprintf(live, sizeof live, "%s/live.pem", folder);
  copy_file(server_path, live);
  const rpc_tls tls = {live, live, NULL};
  const rpc_client_tls client = {.ca_path = ca_path, .server_name = "server.test"};
  world *w = world_new(NULL, &tls, &client);
  expect(w, ERR_OK);
  FILE *f = fopen(live, "w");
  (void)fclose(f);
  assert_non_null(rpc_server_reload_tls(w->server, &w->mem)); /* the old one stays in use */
  expect(w, ERR_OK);
  copy_file(client_path, live);
  assert_null(rpc_server_reload_tls(w->server, &w->mem));
  expect(w, ERR_OK); /* the open connection goes on */
  rpc_client_free(w->client);
  assert_null(rpc_client_new(&w->loop, "127.0.0.1", rpc_server_port(w->server), &client, &w->mem,
                             &w->client));
  expect(w, ERR_UNAVAILABLE);
  (void)unlink(live);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tls_carries_calls),
      cmocka_unit_test(the_client_checks_authority_and_name),
      cmocka_unit_test(mutual_tls_wants_a_certificate_of_its_authority),
      cmocka_unit_test(cleartext_to_a_tls_port_and_back_fails_cleanly),
      cmocka_unit_test(wrong_files_are_named),
      cmocka_unit_test(reload_takes_new_files_for_new_connections),
  };
  return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
