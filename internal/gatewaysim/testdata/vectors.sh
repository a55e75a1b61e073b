#!/bin/sh
# Makes the signature vectors of this directory with OpenSSL alone.
# Run it here after changing a case; the test then holds the code against the
# new files. The keys are for tests only; they are made where they are missing.
set -eu
cd "$(dirname "$0")"

for who in merchant gateway; do
  [ -f $who.pkcs8.pem ] || openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $who.pkcs8.pem
  openssl rsa -in $who.pkcs8.pem -traditional -out $who.pkcs1.pem 2>/dev/null
  openssl pkey -in $who.pkcs8.pem -pubout -out $who.pub.pem
  openssl pkey -in $who.pkcs8.pem -outform DER | openssl base64 -A > $who.pkcs8.b64
  openssl pkey -in $who.pkcs8.pem -pubout -outform DER | openssl base64 -A > $who.pub.b64
done

# eftPay: one line each: name, TAB, secret, TAB, the sorted fields, TAB, hex.
: > eftpay.tsv
eftpay() {
  hex=$(printf '%s%s' "$2" "$3" | openssl dgst -sha256 -r | cut -c1-64)
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$hex" >> eftpay.tsv
}
eftpay reply 'k3y' 'return_code=success&time=20230609110645'
eftpay refund 'sEcReT0123' 'out_trade_no=rrn_1686280006045&payment_type=WECHATCN&paytype=WeChat&refund_desc=test测试退款&refund_no=201901010011&service=service.wechat.jsapi.Refund&tid=tid_3378&time=20230609110646&total_fee=10.01&transaction_amount=0.01&user_confirm_key=S0003469'
eftpay url 'k3y' 'notify_url=https://us.example/v1/callbacks/S0003469?a=b c&time=20230609110645'
eftpay upper 'k3y' 'B=1&a=2&b=3'

# BluePay: one file a case, signed with the merchant's key; NAME.sig is Base64.
bluepay() {
  printf '%s' "$2" > bluepay.$1.param
  openssl dgst -sha256 -sign merchant.pkcs8.pem bluepay.$1.param | openssl base64 -A > bluepay.$1.sig
}
bluepay refund '{"originalTransactionId":"CU518563189147832780","mchRefundOrderId":"refund488455057142","refundAmount":10000,"refundReason":"testRefund","refundCallbackUrl":"http://www.test.com","timestamp":1722415059}'
bluepay spaces '{ "timestamp" : 1722415059, "refundReason": "คืนเงิน 退款" }'
