#separator \x09
#fields	indicator	indicator_type	meta.source	meta.desc	meta.url	meta.do_notice	meta.confidence
bad.example	Intel::DOMAIN	shop	why	https://report.example/1	T	80
bad.example/a\x2cb	Intel::URL	shop	-	-	F	-
192.0.2.1	Intel::ADDR	-	-	-	-	(empty)
192.0.2.0/24	Intel::SUBNET	-	-	-	-	55.5
x@bad.example	Intel::EMAIL	-	-	-	-	-
d41d8cd98f00b204e9800998ecf8427e	Intel::FILE_HASH	-	-	-	-	-
evil.exe	Intel::FILE_NAME	-	-	-	-	-
Agent/1.0	Intel::SOFTWARE	-	-	-	-	-
bad.example	Intel::DOMAIN	-	-	-	-	NaN
bad.example Intel::DOMAIN
-	Intel::DOMAIN	-	-	-	-	-
x	-	-	-	-	-	-
#close
