#include "funcdata.h"
#include "textflag.h"

// func assemblyLeaf(x, y uint64) uint64
TEXT ·assemblyLeaf(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), AX
	CMPQ AX, $100
	JLT  small
	XORQ y+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET
small:
	ADDQ y+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET

// func assemblyCaller(x uint64) uint64
TEXT ·assemblyCaller(SB), 0, $24-16
	NO_LOCAL_POINTERS // Without it the stack cannot grow below it.
	MOVQ x+0(FP), AX
	MOVQ AX, 0(SP)
	CALL ·calledByAssembly(SB)
	MOVQ 8(SP), AX
	ADDQ $1, AX
	MOVQ AX, ret+8(FP)
	RET
