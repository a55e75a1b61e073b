#!/bin/sh
# Makes the keys and vectors of these tests with OpenSSL alone, so that the Go code is
# checked against another implementation. Run it in an empty folder and copy the files
# here; nothing at run time needs them. The keys guard nothing.
set -eu
key() { openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:$2" -out "$1"; }

key merchant.pem 2048                                                    # PKCS#8
openssl rsa -in merchant.pem -traditional -out merchant_pkcs1.pem 2>/dev/null
grep -v -- ----- merchant.pem | tr -d '\n' >merchant_base64.txt           # as the portal shows it
openssl pkey -in merchant.pem -pubout -out merchant_public.pem
openssl pkcs8 -topk8 -in merchant.pem -passout pass:test -out merchant_encrypted.pem

key gateway.pem 2048
openssl pkey -in gateway.pem -pubout -out gateway_public.pem              # SPKI
openssl rsa -in gateway.pem -RSAPublicKey_out -out gateway_public_pkcs1.pem 2>/dev/null
grep -v -- ----- gateway_public.pem | tr -d '\n' >gateway_public_base64.txt
openssl req -x509 -new -key gateway.pem -subj /CN=test -days 36500 -out gateway_certificate.pem

key next.pem 4096                                                        # the gateway's next key
openssl pkey -in next.pem -pubout -out next_public.pem

key small.pem 1024
openssl pkey -in small.pem -pubout -out small_public.pem
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem
openssl pkey -in ec.pem -pubout -out ec_public.pem

sign() { openssl dgst -sha256 -sign "$1" "$2" | openssl base64 -A >"$3"; }
printf '%s' '{"originalTransactionId":"CU518563189147832780","mchRefundOrderId":"refund488455057142","refundAmount":10000,"refundReason":"testRefund","refundCallbackUrl":"https://us.example/v1/callbacks/shop-th?a=1&b=2","timestamp":1722415059}' >refund_param.json
sign merchant.pem refund_param.json refund_param.sign
printf '%s' '{"eventName":"payment.refund.success","mchRefundOrderId":"refund488455057142","originalTransactionId":"CU518563189147832780","refundTransactionId":"1818566685947728","refundAmount":10000,"feeRefunded":0,"refundStatus":"COMPLETE","refundCreateTime":"2024-07-31 16:37:40","refundReturnTime":"2024-07-31 16:38:02","failedCode":"","failedMessage":"","refundReason":"test退款"}' >notification_param.json
sign gateway.pem notification_param.json notification_param.sign
sign next.pem notification_param.json notification_param.next.sign
