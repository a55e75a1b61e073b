package ctl

// configHead and configBlocks are what config init writes. A test loads them.
const configHead = `# The configuration of worker, notify-bridge and refundctl: one file for all three.
# config.example.yaml has every key with its default; refundctl config check tells
# what is wrong with this one. ${NAME} is taken from the environment, ${file:PATH}
# from a file.

kafka:
  brokers: [127.0.0.1:9092]        # FILL IN: host:port of one or more brokers
  create_topics:
    enabled: true                  # the worker creates topics that are missing
    partitions: 12
    replication: 3                 # 1 where there is one broker only

redis:
  addrs: [127.0.0.1:6379]          # FILL IN: one address, or several of a cluster
  # password: "${REDIS_PASSWORD}"

bridge:
  listen: ":8080"                  # POST /v1/callbacks/{merchant}

merchants:
`

var configBlocks = map[string]string{
	"eftpay": `  - name: my-eftpay                # FILL IN: what requests call it
    provider: eftpay
    base_url: https://gateway.example/VMP   # FILL IN
    currency: HKD                  # FILL IN: of the account
    test: true                     # load tests and made-up callbacks may reach it; false in production
    eftpay:
      user_confirm_key: S0003469   # FILL IN: as eftPay gave it
      secret: "${EFTPAY_SECRET}"   # signs what is sent, verifies what comes in
      notify_url: "https://us.example/v1/callbacks/my-eftpay"   # FILL IN: of the bridge; for refunds of flow apply
      not_found_codes: []          # return_status values that prove that eftPay has no such refund
`,
	"bluepay": `  - name: my-bluepay               # FILL IN: what requests call it
    provider: bluepay
    base_url: https://bluepay.example       # FILL IN
    currency: THB                  # FILL IN: of the account
    test: true                     # load tests and made-up callbacks may reach it; false in production
    bluepay:
      app_id: "${BLUEPAY_APP_ID}"  # as BluePay gave it
      private_key_file: merchant.pem          # FILL IN: ours, beside this file
      gateway_public_key_file: gateway.pem    # FILL IN: BluePay's
      callback_url: "https://us.example/v1/callbacks/my-bluepay"   # FILL IN: of the bridge
`,
}
