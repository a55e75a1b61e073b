package refund

import "strings"

// byExponent holds the codes of ISO 4217's list one (current currencies and
// funds) as published on 2026-01-01, by the number of their decimals. The 13
// codes without a minor unit (metals, bond market units, XDR, XSU, XUA, XTS, XXX)
// are not there: no refund can be made in them.
var byExponent = [...]string{
	0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
	2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW " +
		"CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF " +
		"IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK " +
		"MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP " +
		"SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG " +
		"YER ZAR ZMW ZWG",
	3: "BHD IQD JOD KWD LYD OMR TND",
	4: "CLF UYW",
}

var currencies = func() map[string]Currency {
	table := make(map[string]Currency, 165)
	for exponent, codes := range byExponent {
		for code := range strings.FieldsSeq(codes) {
			table[code] = Currency{Code: code, Exponent: exponent}
		}
	}
	return table
}()

// CurrencyOf finds an active currency of ISO 4217 by its three capital letters,
// with the standard's number of decimals. Other tables differ: those made for
// showing prices give IDR, LAK or MMK no decimals, which would move an amount by
// a factor of a hundred.
func CurrencyOf(code string) (Currency, bool) {
	c, ok := currencies[code]
	return c, ok
}
